from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.client_scene import Scene
from tests.conformance.simulator import RepositorySimulator, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def scene(repository: RepositorySimulator, tmp_path: Path) -> Iterator[Scene]:
    """Return a client that was told the first root, and has asked for nothing yet."""
    with serving(repository) as url:
        made = Scene(folder=tmp_path, url=url, repository=repository)
        made.init()
        yield made
