"""A small site: a repository with an index, tags and referrers, and two beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.serve.content import SBOM, SIGNATURE, Content

if TYPE_CHECKING:
    from pathlib import Path

APP = "registry.example/prod/app"
BASE = f"/v2/{APP}"
TAGS = ("1.4", "latest", "Beta", "alpha", "v10", "v9")


class Site:
    """What the server of these tests serves."""

    def __init__(self, root: Path) -> None:
        self.content = content = Content(root=root)
        self.amd64 = content.image(b"layer of amd64")
        self.arm64 = content.image(b"layer of arm64", architecture="arm64")
        self.image = content.index(self.amd64, self.arm64)
        self.sbom = content.artifact(self.image, artifactType=SBOM, annotations={"made": "today"})
        self.signature = content.artifact(
            self.image, config=content.put(b"{}", SIGNATURE).to_json()
        )
        self.list = content.index(subject=self.image.to_json(), annotations={"kind": "list"})
        content.record(APP, self.image, *TAGS)
        for referrer in (self.sbom, self.signature, self.list):
            content.record(APP, referrer)
        self.other = content.image(b"layer of another repository")
        content.record("registry.example/prod/other", self.other, "1")
        self.untagged = content.image(b"untagged")
        content.record("registry.example/untagged", self.untagged)
