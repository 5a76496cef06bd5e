"""Move container images into disconnected networks, with everything needed to believe them."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
