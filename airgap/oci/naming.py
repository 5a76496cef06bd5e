"""Names at the destination: a stable, documented contract (docs/names.md).

``prefix / source host in lower case, ":port" written "__port" / repository``, so that mirror
settings for each host work and nothing collides. `--map` and `--flatten` change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airgap.errors import UsageError
from airgap.oci.reference import Reference, is_repository

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RELEASES", "NameMap", "Naming"]

RELEASES: Final = "airgap/releases"
"""The repository, below the prefix, that holds one release record for each stream."""
_REST: Final = "/**"
_BELOW: Final = "x/x"


@dataclass(frozen=True, kw_only=True, slots=True)
class NameMap:
    """One ``--map SOURCE=TARGET``; a trailing ``/**`` stands for any rest on both sides.

    `source` is spelled as sources are: with its host, in lower case, Docker Hub's names in full.
    """

    source: str
    target: str

    @classmethod
    def parse(cls, text: str) -> NameMap:
        """Return the mapping that `text` spells, or raise UsageError ``map-invalid``."""
        source, _, target = text.partition("=")
        if source.endswith(_REST):
            # Any name below the stem will do to judge the stem; one of two parts is nobody's short
            # name on Docker Hub.
            stem = _normalise(source.removesuffix("**") + _BELOW)
            wild = target == "**" or (
                target.endswith(_REST) and is_repository(target.removesuffix(_REST))
            )
            if stem is not None and wild:
                return cls(source=stem.removesuffix(_BELOW) + "**", target=target)
        else:
            plain = _normalise(source)
            if plain is not None and is_repository(target):
                return cls(source=plain, target=target)
        raise UsageError(
            f"{text!r:.200} is not a mapping",
            reason="map-invalid",
            hint="Write --map 'registry.example/**=apps/**' or --map 'host/app=team/app'.",
        )

    def apply(self, source: str) -> str | None:
        """Return where `source` (host/repository) goes, or None where this mapping is silent."""
        if not self.source.endswith(_REST):
            return self.target if source == self.source else None
        stem = self.source.removesuffix("**")
        if not source.startswith(stem):
            return None
        return self.target.removesuffix("**") + source.removeprefix(stem)


def _normalise(source: str) -> str | None:
    """Return the source that `source` spells, or None where it spells no repository."""
    try:
        name = Reference.parse(source)
    except UsageError:
        return None
    return name.source if name.tag is None and name.digest is None else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Naming:
    """How source repositories are named at a destination: below `prefix`, by `maps`, flattened."""

    prefix: str = ""
    maps: tuple[NameMap, ...] = ()
    flatten: bool = False

    def place(self, source: str) -> str:
        """Return the destination repository of `source` (host/repository).

        Raises UsageError ``name-needs-map`` where the contract gives no valid repository name, as
        for an IPv6 literal.
        """
        for mapping in self.maps:
            mapped = mapping.apply(source)
            if mapped is not None:
                return self._below_prefix(mapped, source)
        host, _, repository = source.partition("/")
        if self.flatten:
            return self._below_prefix(repository.rpartition("/")[2], source)
        name, colon, port = host.lower().rpartition(":")
        spelled = f"{name}__{port}" if colon and not host.endswith("]") else host.lower()
        return self._below_prefix(f"{spelled}/{repository}", source)

    def place_all(self, sources: Iterable[str]) -> dict[str, str]:
        """Return source → destination repository for all `sources`; two on one name are refused."""
        placed: dict[str, str] = {}
        taken = {self._join(RELEASES): "the release records"}
        for source in sorted(set(sources)):
            target = self.place(source)
            if target in taken:
                raise UsageError(
                    f"{source} and {taken[target]} would both be {target} at the destination",
                    reason="destination-collision",
                    hint="Give one of them a place of its own with --map.",
                )
            taken[target] = source
            placed[source] = target
        return placed

    @property
    def releases(self) -> str:
        """The repository of the release records."""
        return self._join(RELEASES)

    def _join(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _below_prefix(self, name: str, source: str) -> str:
        target = self._join(name)
        if not is_repository(target):
            raise UsageError(
                f"{source} has no valid name at the destination ({target})",
                reason="name-needs-map",
                hint=f"Say where it goes: --map '{source}=some/name'.",
            )
        return target
