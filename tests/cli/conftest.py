"""One site and one bundle for a file of tests, or one that a test may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.scenes import Scene

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def fresh(tmp_path: Path) -> Scene:
    return Scene(tmp_path)
