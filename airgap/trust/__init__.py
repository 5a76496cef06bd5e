"""WHETHER to believe it: pure functions of bytes, trust root, policy and an explicit time."""
