"""Every store of ours, held to the one contract. The registries' part needs their programs."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap.bundle.inventory import BundledReferrer
from airgap.bundle.reader import open_bundle
from airgap.stores import Source, Store, StoreOptions, open_store
from airgap.stores.layout import LayoutStore
from airgap.stores.memory import MemoryStore
from tests.bundle.samples import Recipe, inventory
from tests.bundle.shelf import Shelf
from tests.conftest import find_tool
from tests.simulators.registry_process import DEBIAN, DISTRIBUTION_3, start_registry
from tests.stores.contract import (
    ARM,
    CHILD_SBOM,
    CONTENT,
    MULTI,
    NOTE,
    SBOM,
    SINGLE,
    TAGS,
    DestinationContract,
    SourceContract,
    fill,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TO = StoreOptions(side="destination")


class TestMemory(SourceContract, DestinationContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def source(self, store: Store) -> Source:
        fill(store.repository("filled"))
        return store.repository("filled")


class TestLayout(SourceContract, DestinationContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store("oci", str(tmp_path / "layout"), TO)

    @pytest.fixture
    def source(self, store: Store, tmp_path: Path) -> Source:
        fill(store.repository("filled"))
        return open_store("oci", str(tmp_path / "layout"), StoreOptions()).repository("filled")


class TestNamelessLayout(SourceContract):
    """The whole layout as one repository, as other tools write it."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        store = LayoutStore(tmp_path, side="destination")
        fill(store.repository(""))
        return LayoutStore(tmp_path).repository("")


class TestOciArchive(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        fill(LayoutStore(tmp_path / "layout", side="destination").repository(""))
        with tarfile.open(tmp_path / "archive.tar", "w") as tar:
            tar.add(tmp_path / "layout", ".")
        store = open_store("oci-archive", str(tmp_path / "archive.tar"), StoreOptions())
        yield store.repository("")
        store.close()


class TestBundle(SourceContract):
    spelling = "registry.example/prod/app:{}"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        shelf = Shelf()
        for sample in CONTENT:
            for part in sample.everything():
                shelf.add(part.manifest.data)
                for data in part.blobs.values():
                    shelf.add(data)
        referrers = (
            BundledReferrer(descriptor=sample.descriptor, subject=subject.digest, found="api")
            for sample, subject in ((SBOM, MULTI), (CHILD_SBOM, ARM), (NOTE, SBOM))
        )
        items = (shelf.item(MULTI.descriptor, *referrers), shelf.item(SINGLE.descriptor))
        names = {self.spelling.format(tag): sample.digest for tag, sample in TAGS.items()}
        recipe = Recipe(shelf, inventory(*items, names=names))
        with open_bundle(recipe.pack(tmp_path / "bundle.tar")) as bundle:
            bundle.survey()
            yield bundle


class _RegistryContract(SourceContract, DestinationContract):
    kind: str

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with start_registry(
            find_tool(self.kind), tmp_path / "registry", kind=self.kind
        ) as registry:
            options = StoreOptions(side="destination", insecure_http=registry.insecure)
            store = open_store("docker", registry.host, options)
            yield store
            store.close()

    @pytest.fixture
    def source(self, store: Store) -> Source:
        fill(store.repository("filled"))
        return store.repository("filled")


class TestDebianRegistry(_RegistryContract):
    kind = DEBIAN


class TestDistribution3(_RegistryContract):
    kind = DISTRIBUTION_3
