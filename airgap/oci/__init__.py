"""WHAT travels: values without I/O."""
