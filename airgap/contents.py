"""Contents: a bundle as a tree for people and as JSON for programs. Nothing in it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap.bundle.reader import open_bundle
from airgap.errors import AirgapError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.bundle.inventory import Inventory
    from airgap.bundle.item import Item
    from airgap.bundle.reader import Bundle
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest

__all__ = ["Contents", "ImageContents", "Node", "describe_bundle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One piece of content in the tree: what it is, and what hangs below it."""

    label: str
    descriptor: Descriptor
    children: tuple[Node, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "label": self.label,
            **self.descriptor.to_json(),
            "children": [child.to_json() for child in self.children],
        }

    def lines(self, depth: int = 0) -> list[tuple[int, str]]:
        """Return this node and all below it, each with its depth."""
        own = f"{self.label}   {self.descriptor.digest}   {self.descriptor.size} bytes"
        return [(depth, own), *(line for child in self.children for line in child.lines(depth + 1))]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageContents:
    """One root with the names that it has."""

    source: str
    names: tuple[str, ...]
    node: Node

    @property
    def title(self) -> str:
        """The names, or the repository where there are none."""
        return ", ".join(self.names) or self.source

    @property
    def lines(self) -> list[tuple[int, str]]:
        """The tree, a line for each piece."""
        return self.node.lines()


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What a bundle says it holds."""

    inventory: Inventory
    inventory_digest: str
    size: int
    images: tuple[ImageContents, ...]
    manifests: int
    blobs: int

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; ``verified`` is always false here."""
        return {
            "schemaVersion": 1,
            "verified": False,
            "size": self.size,
            "inventoryDigest": self.inventory_digest,
            "inventory": self.inventory.to_json(),
            "manifests": self.manifests,
            "blobs": self.blobs,
            "images": [
                {"source": image.source, "names": list(image.names), "tree": image.node.to_json()}
                for image in self.images
            ],
        }


def describe_bundle(path: Path) -> Contents:
    """Return what the bundle at `path` says it holds; nothing of it is believed."""
    with open_bundle(path) as bundle:
        bundle.survey()
        inventory = bundle.inventory
        names: dict[tuple[str, Digest], list[str]] = {}
        for name, digest in sorted(inventory.names.items()):
            names.setdefault((name.rpartition(":")[0], digest), []).append(name)
        seen: set[Digest] = set()
        images = tuple(
            _image(bundle, item, names.get(item.key, []), seen) for item in inventory.items
        )
        return Contents(
            inventory=inventory,
            inventory_digest=str(bundle.inventory_digest),
            size=bundle.size,
            images=images,
            manifests=sum(_is_manifest(bundle, descriptor) for descriptor in bundle.head),
            blobs=len(bundle.positions),
        )


def _is_manifest(bundle: Bundle, descriptor: Descriptor) -> bool:
    try:
        bundle.resolve(str(descriptor.digest))
    except AirgapError:
        return False
    return True


def _image(bundle: Bundle, item: Item, names: list[str], seen: set[Digest]) -> ImageContents:
    chosen = None if item.children is None else frozenset(item.children)
    node = _node(bundle, str(item.kind), item.descriptor, seen=seen, chosen=chosen)
    referrers = tuple(
        _node(
            bundle,
            f"{_kind(bundle, one.descriptor)} ({one.found}) of {one.subject.short}",
            one.descriptor,
            seen=seen,
        )
        for one in item.referrers
    )
    return ImageContents(
        source=item.source,
        names=tuple(names),
        node=Node(label=node.label, descriptor=node.descriptor, children=node.children + referrers),
    )


def _kind(bundle: Bundle, descriptor: Descriptor) -> str:
    manifest = bundle.read_manifest(descriptor)
    return manifest.effective_artifact_type or manifest.media_type


def _node(
    bundle: Bundle,
    label: str,
    descriptor: Descriptor,
    *,
    seen: set[Digest],
    chosen: frozenset[Digest] | None = None,
) -> Node:
    """Return the tree below a manifest; what was `seen` already is named and not unfolded again.

    A few indexes that each list the next a thousand times would else unfold without end.
    """
    if chosen is None:
        if descriptor.digest in seen:
            return Node(label=f"{label} (shown above)", descriptor=descriptor)
        seen.add(descriptor.digest)
    manifest = bundle.read_manifest(descriptor)
    children = [
        _node(bundle, str(child.platform or "manifest"), child, seen=seen)
        for child in manifest.manifests
        if chosen is None or child.digest in chosen
    ]
    if manifest.config is not None:
        children.append(Node(label="config", descriptor=manifest.config))
    children += [Node(label="layer", descriptor=layer) for layer in manifest.layers]
    return Node(label=label, descriptor=descriptor, children=tuple(children))
