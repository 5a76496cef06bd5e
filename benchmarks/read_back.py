"""`airgap import` with every blob read back, new ones too: what a policy's `load` may ask."""

from __future__ import annotations

import functools

from airgap import loading
from airgap.cli import main

if __name__ == "__main__":
    loading.copy = functools.partial(loading.copy, read_back="always")
    main()
