"""Diagnosis: what this machine, a registry and the credentials at hand can do."""

from __future__ import annotations

import os
import shutil
import ssl
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final, cast

from airgap.errors import AirgapError, UsageError
from airgap.oci.reference import Reference
from airgap.stores import open_store, split_location

if TYPE_CHECKING:
    from airgap.site import Site
    from airgap.stores import StoreOptions
    from airgap.stores.registry import RegistryStore
    from airgap.stores.registry_probe import RegistryFacts

__all__ = ["Fact", "examine_machine", "examine_registry"]

_LIBRARIES: Final = ("cryptography", "tuf", "oras", "requests", "zstandard", "jsonschema")
_SCARCE: Final = 1 << 30
"""Less free disk than this, in bytes, is worth a warning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One thing that was found out: PASS, WARN or FAIL, about what, in a sentence, what to do."""

    outcome: str
    subject: str
    sentence: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the JSON form."""
        return {
            "outcome": self.outcome,
            "subject": self.subject,
            "sentence": self.sentence,
            "hint": self.hint,
        }


def examine_machine(site: Site) -> list[Fact]:
    """Return what this machine offers: Python, libraries, disk, state folder."""
    facts = [
        Fact(outcome="PASS", subject="python", sentence=sys.version.split(" ", 1)[0]),
        Fact(outcome="PASS", subject="tls", sentence=ssl.OPENSSL_VERSION),
    ]
    facts += [_library(name) for name in _LIBRARIES]
    facts.append(_urllib3())
    calls = [name for name in ("preadv", "sendfile", "copy_file_range") if hasattr(os, name)]
    facts.append(
        Fact(
            outcome="PASS" if len(calls) == 3 else "WARN",
            subject="fast file calls",
            sentence=", ".join(calls) or "none: portable ways are used, slower",
        )
    )
    facts.append(_state(site))
    return facts


def examine_registry(place: str, options: StoreOptions, *, write: bool) -> list[Fact]:
    """Return what the registry at `place` (docker://HOST/REPOSITORY) answers."""
    transport, location = split_location(place)
    if transport != "docker":
        raise UsageError(
            f"{place} is no registry",
            reason="not-a-registry",
            hint="Write docker://HOST/REPOSITORY.",
        )
    if "/" not in location:
        raise UsageError(
            f"{place}: which repository?",
            reason="repository-missing",
            hint="Write docker://HOST/REPOSITORY, one that you read from or import to.",
        )
    reference = Reference.parse(location)
    store = cast("RegistryStore", open_store("docker", reference.host, options))
    try:
        facts = store.probe(reference.repository, write=write)
    except AirgapError as error:
        return [
            Fact(
                outcome="FAIL",
                subject=reference.host,
                sentence=f"{error.message} ({error.reason})",
                hint=error.hint,
            )
        ]
    finally:
        store.close()
    return _registry_facts(facts)


def _registry_facts(facts: RegistryFacts) -> list[Fact]:
    said = [
        Fact(
            outcome="PASS" if facts.scheme == "https" else "WARN",
            subject=facts.host,
            sentence=f"answers over {facts.scheme}, {facts.api_version or 'no API version named'}",
        ),
        Fact(
            outcome="PASS",
            subject="credentials",
            sentence=f"{facts.authentication}; {facts.credentials or 'anonymous'}",
        ),
        Fact(
            outcome="PASS" if facts.repository_exists else "WARN",
            subject=facts.repository,
            sentence="is there" if facts.repository_exists else "is not there yet",
            hint=""
            if facts.repository_exists
            else "Some registries (Harbor) want the project created first.",
        ),
        Fact(
            outcome="PASS",
            subject="referrers",
            sentence="by the API" if facts.referrers_api else "no API: by the fallback tag",
        ),
    ]
    if facts.push_allowed is not None:
        said.append(
            Fact(
                outcome="PASS" if facts.push_allowed else "FAIL",
                subject="push",
                sentence="allowed" if facts.push_allowed else f"refused: {facts.push_refusal}",
                hint=""
                if facts.push_allowed
                else "Check the credentials and that the project exists.",
            )
        )
    if facts.refuses_wrong_digest is not None:
        said.append(
            Fact(
                outcome="PASS" if facts.refuses_wrong_digest else "WARN",
                subject="wrong digest",
                sentence="refused"
                if facts.refuses_wrong_digest
                else "ACCEPTED: everything is read back",
            )
        )
    return said


def _library(name: str) -> Fact:
    try:
        return Fact(outcome="PASS", subject=name, sentence=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Fact(
            outcome="FAIL", subject=name, sentence="is not installed", hint=f"pip install {name}"
        )


def _urllib3() -> Fact:
    """Find the package that replaces urllib3 in place and slows every transfer down."""
    try:
        found = metadata.version("urllib3-future")
    except metadata.PackageNotFoundError:
        return Fact(outcome="PASS", subject="urllib3", sentence=metadata.version("urllib3"))
    return Fact(
        outcome="WARN",
        subject="urllib3",
        sentence=f"urllib3-future {found} has replaced urllib3: transfers are slower",
        hint="Use an environment without niquests.",
    )


def _state(site: Site) -> Fact:
    folder = next(path for path in (site.state, *site.state.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    return Fact(
        outcome="FAIL" if not writable else "WARN" if free < _SCARCE else "PASS",
        subject="state folder",
        sentence=f"{site.state}: {free} bytes free{'' if writable else ', NOT writable'}",
        hint="" if writable else "Name another with --state.",
    )
