"""Reference: registry/repository[:tag][@digest], with Docker Hub's short names spelled out.

Source: OCI distribution-spec 1.1 (grammar of <name> and <reference>) and docker's reference
grammar for the host. ``nginx`` is ``docker.io/library/nginx``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from airgap.errors import FormatError, UsageError
from airgap.oci.digest import Digest

__all__ = ["DOCKER_HUB", "Reference", "is_repository", "is_tag"]

DOCKER_HUB: Final = "docker.io"
_HUB_ALIASES: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_DOMAIN: Final = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_HOST: Final = re.compile(
    rf"(?:{_DOMAIN}|\[[0-9a-fA-F:]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII
)
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_MAX_NAME: Final = 255
_MAX_PORT: Final = 65535


def is_repository(text: str) -> bool:
    """Tell whether `text` is a repository name of the distribution-spec."""
    return len(text) <= _MAX_NAME and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether `text` is a tag of the distribution-spec."""
    return _TAG.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A name for content in a registry: `host` (with port), `repository`, `tag` and `digest`."""

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that `text` spells, or raise UsageError ``reference-invalid``.

        The host is lower-cased; a name without host is Docker Hub's; no tag is invented.
        """
        rest, at, digest_text = text.partition("@")
        digest = None
        if at:
            try:
                digest = Digest.parse(digest_text)
            except FormatError as error:
                raise _invalid(text, "the part after @ is not a sha256 digest") from error
        head, slash, path = rest.partition("/")
        if slash and (head == "localhost" or set(head) & set(".:[") or head != head.lower()):
            host, name = head, path
        else:
            host, name = DOCKER_HUB, rest
        last = name.rpartition("/")[2]
        tag = None
        if ":" in last:
            name, _, tag = name.rpartition(":")
            if not is_tag(tag):
                raise _invalid(text, "the tag is not one")
        # Judged before it is lower-cased: some letters outside ASCII have ASCII lower cases.
        if not _is_host(host):
            raise _invalid(text, "the host is not one")
        host = host.lower()
        if host in _HUB_ALIASES:
            host = DOCKER_HUB
            name = name if "/" in name else f"library/{name}"
        if not is_repository(name):
            raise _invalid(
                text, "the repository is not one (lower-case letters, digits, ._- and /)"
            )
        return cls(host=host, repository=name, tag=tag, digest=digest)

    @property
    def source(self) -> str:
        """Host and repository: the normalised name of the repository."""
        return f"{self.host}/{self.repository}"

    @property
    def name(self) -> str | None:
        """The full name with tag, without digest; None where there is no tag."""
        return None if self.tag is None else f"{self.source}:{self.tag}"

    @property
    def target(self) -> str | None:
        """What to ask the repository for: the digest, else the tag."""
        return self.tag if self.digest is None else str(self.digest)

    def with_default_tag(self) -> Reference:
        """Return the same reference with the tag ``latest`` if it has neither tag nor digest."""
        return replace(self, tag="latest") if self.tag is None and self.digest is None else self

    def __str__(self) -> str:
        """Spell the reference in full."""
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.source}{tag}{digest}"


def _is_host(text: str) -> bool:
    match = _HOST.fullmatch(text) if len(text) <= _MAX_NAME else None
    return match is not None and int(match["port"] or 1) <= _MAX_PORT


def _invalid(text: str, why: str) -> UsageError:
    return UsageError(
        f"{text!r:.300} is not a reference: {why}",
        reason="reference-invalid",
        hint="Write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST.",
    )
