"""`python -m airgap` is the command."""

from __future__ import annotations

from airgap.cli import main

if __name__ == "__main__":
    main()
