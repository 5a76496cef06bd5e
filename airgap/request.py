"""What to export: read from the command line or from a request file (schemas/request.schema.json).

A field that this release cannot carry out yet is refused (``not-supported-yet``), never ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airgap.errors import FormatError, UsageError
from airgap.oci.descriptor import Platform
from airgap.oci.digest import Digest
from airgap.oci.reference import Reference
from airgap.oci.strict_json import Reader, decode
from airgap.stores import split_location

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BUNDLE", "ExportRequest", "ImageRequest", "parse_image", "read_request"]

BUNDLE: Final = "bundle"
_REQUEST_LIMIT: Final = 8 << 20
_STREAM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_LATER: Final = {
    "policy": "a policy file (who must have signed what)",
    "trust": "a frozen trust root",
    "base": "incremental bundles",
    "audience": "audiences",
    "withdrawn": "withdrawals",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """One image to export: where it is, what it is called, which platforms and referrers travel.

    `transport` and `location` name the store (a host, or a path), `repository` and `target` what
    to ask it for; `name` is the full source reference that the bundle binds, tag included where
    the request has one.
    """

    transport: str
    location: str
    repository: str
    target: str
    name: Reference
    platforms: tuple[Platform, ...] = ()
    referrers: bool = True

    def __str__(self) -> str:
        """Name the image as the request did, in full."""
        return str(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRequest:
    """Everything that one export is asked for."""

    stream: str
    images: tuple[ImageRequest, ...]


def parse_image(
    text: str, *, as_name: str | None = None, platforms: Iterable[str] = (), referrers: bool = True
) -> ImageRequest:
    """Return the request that `text` spells.

    ``docker://HOST/REPO:TAG`` or a bare reference; ``oci:DIR:NAME``, ``oci-archive:FILE:NAME``,
    ``docker-archive:FILE:NAME``, each also with ``@sha256:…`` in place of ``:NAME``. A layout or
    archive whose NAME is no full reference needs `as_name` (``--as HOST/REPO[:TAG]``).
    """
    transport, location = _split_transport(text)
    wanted = tuple(Platform.parse(platform) for platform in platforms)
    if transport == "docker":
        if as_name is not None:
            raise UsageError(
                f"--as renames layouts and archives, not {text}", reason="as-not-applicable"
            )
        name = Reference.parse(location).with_default_tag()
        return ImageRequest(
            transport=transport, location=name.host, repository=name.repository,
            target=name.target or "", name=name, platforms=wanted, referrers=referrers,
        )  # fmt: skip
    path, target = _split_path(location)
    return ImageRequest(
        transport=transport, location=path, repository="", target=target,
        name=_source_name(text, target, as_name), platforms=wanted, referrers=referrers,
    )  # fmt: skip


def _split_transport(text: str) -> tuple[str, str]:
    """Return transport and location; a bundle is a source too, though it stands outside STORES."""
    if text.startswith(f"{BUNDLE}:"):
        return BUNDLE, text.removeprefix(f"{BUNDLE}:")
    return split_location(text)


def _split_path(location: str) -> tuple[str, str]:
    """Split ``PATH[:NAME]`` or ``PATH@DIGEST``: the longest path that exists wins."""
    path, at, digest = location.rpartition("@")
    if at and digest.startswith("sha256:") and _exists(path):
        try:
            return path, str(Digest.parse(digest))
        except FormatError as error:
            raise UsageError(error.message, reason="reference-invalid") from error
    cuts = [position for position, character in enumerate(location) if character == ":"]
    for cut in (len(location), *reversed(cuts)):
        if _exists(location[:cut]):
            return location[:cut], location[cut + 1 :]
    raise UsageError(
        f"{location} is neither a folder nor a file here", reason="path-not-found",
        hint="Write oci:DIR:NAME, oci-archive:FILE:NAME or docker-archive:FILE:NAME.",
    )  # fmt: skip


def _exists(path: str) -> bool:
    try:
        return path != "" and Path(path).exists()
    except OSError:  # too long for a name, or in a folder that may not be read
        return False


def _source_name(text: str, target: str, as_name: str | None) -> Reference:
    if as_name is not None:
        name = Reference.parse(as_name)
        if name.digest is None and name.tag is None and target and not target.startswith("sha256:"):
            candidate = target.rpartition(":")[2]
            return Reference.parse(f"{as_name}:{candidate}")
        return name
    # "latest" or "app:1" alone could be anybody's: only a name that says its host is a full one.
    host, slash, _ = target.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return Reference.parse(target)
    raise UsageError(
        f"{text}: nothing there says which repository this content is from",
        reason="source-name-missing",
        hint="Add --as HOST/REPOSITORY[:TAG]; the other side uses that name.",
    )


def read_request(path: Path) -> ExportRequest:
    """Return the request in a YAML 1.2 or JSON file, or raise UsageError naming the field."""
    try:
        with path.open("rb") as file:
            data = file.read(_REQUEST_LIMIT + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", reason="request-unreadable"
        ) from error
    if len(data) > _REQUEST_LIMIT:
        raise UsageError(f"{path} is larger than {_REQUEST_LIMIT} bytes", reason="request-invalid")
    try:
        return _request(Reader.of(_document(path, data), path.name))
    except FormatError as error:
        raise UsageError(
            error.message,
            reason="request-invalid",
            hint="See schemas/request.schema.json and docs/export.md.",
        ) from error


def _document(path: Path, data: bytes) -> Any:  # noqa: ANN401 - any YAML value; Reader judges it
    if path.suffix == ".json":
        return decode(data, path.name)
    from ruamel.yaml import YAML  # noqa: PLC0415 - only where a request file is read

    try:
        return YAML(typ="safe", pure=True).load(data.decode("utf-8"))
    except Exception as error:
        # Not only YAMLError: tags that do not suit their value end in KeyError and the like.
        raise FormatError(
            f"{path.name} is not YAML 1.2: {_yaml_problem(error)}", reason="request-invalid"
        ) from error


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return problem if mark is None else f"{problem} in line {mark.line + 1}"


def _request(reader: Reader) -> ExportRequest:
    reader.close("version", "stream", "images", *_LATER)
    for field, what in _LATER.items():
        if reader.has(field):
            raise UsageError(
                f"{reader.at(field)}: {what} cannot be carried out by this release yet",
                reason="not-supported-yet",
                hint="Leave the field out; nothing of a request is ever ignored in silence.",
            )
    if reader.integer("version") != 1:
        raise FormatError(f"expected 1 in {reader.at('version')}", reason="request-invalid")
    entries = reader.array("images")
    if not entries:
        raise FormatError(f"{reader.at('images')} is empty", reason="request-invalid")
    stream = reader.text("stream")
    if _STREAM.fullmatch(stream) is None:
        raise FormatError(
            f"{reader.at('stream')} is not a name of lower-case letters, digits and ._-",
            reason="request-invalid",
        )
    return ExportRequest(
        stream=stream,
        images=tuple(
            _image(entry, f"{reader.at('images')}[{number}]")
            for number, entry in enumerate(entries)
        ),
    )


def _image(entry: object, path: str) -> ImageRequest:
    if isinstance(entry, str):
        return parse_image(entry)
    reader = Reader.of(entry, path)
    reader.close("image", "as", "platforms", "referrers")
    if reader.has("platforms") and not reader.array("platforms"):
        raise FormatError(f"{reader.at('platforms')} is empty", reason="request-invalid")
    return parse_image(
        reader.text("image"),
        as_name=reader.optional_text("as"),
        platforms=reader.texts("platforms") if reader.has("platforms") else (),
        referrers=reader.boolean("referrers") if reader.has("referrers") else True,
    )
