"""What these tests serve: an empty store, or one site and one server for a file of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serve.content import Content
from tests.serve.sites import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serve.content import Client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site") / "store")


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    with site.content.serve() as client:
        yield client


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(root=tmp_path / "store")
