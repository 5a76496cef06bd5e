"""What travels in tests: images in layouts and registries, and what real tools say of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.oci.manifest import Manifest
from airgap.stores import StoreOptions, open_store
from tests.conftest import find_tool
from tests.stores.samples import Sample, make_artifact, make_image, make_index, put

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.oci.digest import Digest
    from airgap.stores import Destination, Source
    from tests.simulators.registry_process import RegistryProcess

__all__ = ["NAME", "Freight", "ask", "read_all", "skopeo_digest", "write_layout"]

NAME = "registry.example/prod/app"


@dataclass(frozen=True, kw_only=True)
class Freight:
    """A two-platform image with a referrer, a referrer of that, and a signature by its tag."""

    image: Sample
    sbom: Sample
    note: Sample
    signature: Sample

    @classmethod
    def make(cls, seed: str, *, size: int = 2000) -> Freight:
        image = make_index(
            make_image(f"{seed} amd64", size=size),
            make_image(f"{seed} arm64", architecture="arm64", size=size),
        )
        sbom = make_artifact(f"sbom of {seed}".encode(), subject=image.manifest)
        return cls(
            image=image,
            sbom=sbom,
            note=make_artifact(f"note on {seed}".encode(), subject=sbom.manifest),
            signature=make_image(f"signature of {image.digest}", layers=1, size=200),
        )

    @property
    def signature_tag(self) -> str:
        return f"{self.image.digest.tag_stem}.sig"

    @property
    def all(self) -> tuple[Sample, ...]:
        return (self.image, self.sbom, self.note, self.signature)

    def put(self, repository: Destination, *tags: str) -> None:
        """Store everything, the image under `tags`."""
        put(repository, self.image, *tags)
        put(repository, self.sbom)
        put(repository, self.note)
        put(repository, self.signature, self.signature_tag)

    def check(self, repository: Source, tag: str) -> None:
        """Check that everything is there, bytes and names and who refers to what."""
        assert repository.resolve(tag).digest == self.image.digest
        assert repository.resolve(self.signature_tag).digest == self.signature.digest
        for sample in self.all:
            for part in sample.everything():
                assert repository.read_manifest(part.descriptor).data == part.manifest.data
                for descriptor, data in part.blobs.items():
                    with repository.open_blob(descriptor) as stream:
                        assert stream.read() == data
        for subject, referrer in ((self.image, self.sbom), (self.sbom, self.note)):
            found = {one.descriptor.digest for one in repository.referrers(subject.digest)}
            assert found == {referrer.digest}


def write_layout(folder: Path, freight: Freight, name: str = NAME, tag: str = "1.4") -> str:
    """Write an OCI layout that holds `freight`, and return the reference to export it by."""
    store = open_store("oci", str(folder), StoreOptions(side="destination"))
    freight.put(store.repository(name), tag)
    store.close()
    return f"oci:{folder}:{name}:{tag}"


def read_all(source: Source, *roots: Digest) -> dict[Digest, bytes]:
    """Return every manifest that `roots` lead to, with all that refers to them, by digest."""
    found: dict[Digest, bytes] = {}
    left = list(roots)
    while left:
        digest = left.pop()
        if digest in found:
            continue
        manifest = source.read_manifest(source.resolve(str(digest)))
        found[digest] = manifest.data
        left += [child.digest for child in manifest.manifests]
        left += [one.descriptor.digest for one in source.referrers(digest)]
    return found


def ask(name: str, *arguments: object, env: dict[str, str] | None = None) -> str:
    """Run a real tool, which must succeed, and return its standard output."""
    done = subprocess.run(
        [find_tool(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=env,
    )
    assert done.returncode == 0, f"{name} {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def skopeo_options(registry: RegistryProcess, folder: Path) -> list[str]:
    """Return what skopeo needs to reach a registry."""
    if registry.ca_file is None:
        return ["--tls-verify=false"]
    certificates = folder / f"certs-{registry.host}"
    certificates.mkdir(exist_ok=True)
    (certificates / "ca.crt").write_bytes(registry.ca_file.read_bytes())
    return [f"--cert-dir={certificates}", f"--creds={registry.username}:{registry.password}"]


def skopeo_digest(registry: RegistryProcess, folder: Path, reference: str) -> Digest:
    """Return the digest that skopeo computes from what the registry serves."""
    options = skopeo_options(registry, folder)
    raw = ask("skopeo", "inspect", "--raw", *options, f"docker://{registry.host}/{reference}")
    return Manifest.parse(raw.encode()).digest
