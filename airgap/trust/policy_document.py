"""Policy document: a policy file's bytes read strictly; every refusal names file and line.

YAML 1.2, or JSON where the file's name ends in ``.json``, in the form that
schemas/policy.schema.json has. What nobody knows is ``policy-invalid``, what a later release will
judge is refused by name (``not-supported-yet``), and durations that contradict each other are
``policy-contradictory``: comparing them is all that the schema cannot do.
"""

from __future__ import annotations

import re
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from airgap.oci.digest import Digest
from airgap.trust.duration import spell
from airgap.trust.expiry_rule import DEFAULT_RULES, NOTHING, Mode, Rule
from airgap.trust.policy import Bootstrap, Gap, Level, PolicyFile, ReadBack, Setting
from airgap.trust.policy_place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LATER_ROLES", "MOST_SKEW", "decode_policy"]

MOST_SKEW: Final = timedelta(days=1)
"""A wider skew would judge nothing."""

LATER_ROLES: Final = re.compile(
    r"trust-root|tuf\.delegation:.+|dct\..+|x509\.(leaf|ca)|notation\.expiry|attestation:.+"
    r"|intoto\.layout|crl|ocsp|pgp\.(signature|key)|clock"
)
"""Roles that expire, and that come with the signatures of images."""

_T = TypeVar("_T")
_SITE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


def decode_policy(data: bytes, name: str, *, file: str | None = None) -> PolicyFile:
    """Return what the policy in `data` says.

    `name` is what findings will call it, `file` what errors call it (the same, if None). Raises
    UsageError ``policy-invalid``, ``policy-contradictory`` or ``not-supported-yet``.
    """
    policy = Place.of(data, file or name)
    fields = policy.fields(
        "version", "level", "site", "rules", "expiry", "clock", "sequence", "load"
    )
    if "version" not in fields:
        raise policy.invalid("`version: 1` is missing")
    if not fields["version"].is_one():
        raise fields["version"].invalid("version is not 1, the only one that this release knows")
    parts = _parts(fields)
    site = fields.get("site")

    def setting(place: Place | None, read: Callable[[Place], _T]) -> Setting[_T] | None:
        return None if place is None else Setting(read(place), _origin(name, place))

    read = PolicyFile(
        name=name,
        digest=Digest.of(data),
        level=setting(fields.get("level"), lambda place: place.choice(Level)),
        site=None if site is None else site.matching(_SITE, "a name such as site-17"),
        rules=MappingProxyType(_read_rules(parts.get("expiry.roles"), name)),
        skew=setting(parts.get("clock.skew"), _read_skew),
        allow_gap=setting(parts.get("sequence.allow-gap"), lambda place: place.choice(Gap)),
        bootstrap=setting(parts.get("sequence.bootstrap"), lambda place: place.choice(Bootstrap)),
        read_back=setting(parts.get("load.read-back"), lambda place: place.choice(ReadBack)),
    )
    _refuse_later(fields, parts)
    return read


def _parts(fields: Mapping[str, Place]) -> dict[str, Place]:
    """Return the fields of the fields, by path."""
    known = {
        "expiry": ("roles",),
        "clock": ("source", "skew"),
        "sequence": ("allow-gap", "bootstrap", "floor"),
        "load": ("on-reject", "read-back"),
    }
    return {
        place.path: place
        for field, names in known.items()
        if field in fields
        for place in fields[field].fields(*names).values()
    }


def _refuse_later(fields: Mapping[str, Place], parts: Mapping[str, Place]) -> None:
    """Refuse what the form has room for, and this release cannot judge or do."""
    later = []
    for path, now, then in (
        ("clock.source", "system", "file"),
        ("load.on-reject", "stop", "quarantine"),
    ):
        if path in parts and parts[path].one_of(now, then) == then:
            later.append((parts[path], f"{path} {then!r}"))
    if "rules" in fields:
        later.append((fields["rules"], "rules about the signatures of images"))
    if "sequence.floor" in parts:
        later.append((parts["sequence.floor"], "a floor of a stream"))
    for role, place in parts["expiry.roles"].fields().items() if "expiry.roles" in parts else ():
        if role not in DEFAULT_RULES:
            later.append((place, f"the expiry role {role!r:.100}"))
    for place, what in later:
        raise place.later(what)


def _read_rules(roles: Place | None, name: str) -> dict[str, Rule]:
    rules = {}
    for role, place in ({} if roles is None else roles.fields()).items():
        if role in DEFAULT_RULES:
            rules[role] = _read_rule(place, DEFAULT_RULES[role], _origin(name, place))
        elif LATER_ROLES.fullmatch(role) is None:
            raise place.invalid(f"{role!r:.100} is no role that expires")
    return rules


def _read_rule(place: Place, default: Rule, origin: str) -> Rule:
    fields = place.fields("mode", "grace", "max")
    if "mode" not in fields:
        raise place.invalid(f"{place.path} has no mode")
    mode = fields["mode"].choice(Mode)
    if "grace" in fields and mode is not Mode.GRACE:
        raise fields["grace"].invalid(f"{place.path}: a grace has no meaning in mode {mode}")
    if "max" in fields and mode in {Mode.WARN, Mode.OFF}:
        raise fields["max"].invalid(f"{place.path}: a max has no meaning in mode {mode}")
    grace = {Mode.ENFORCE: NOTHING, Mode.GRACE: default.grace}.get(mode, default.cap)
    if "grace" in fields:
        grace = fields["grace"].duration()
    most = fields["max"].duration() if "max" in fields else grace
    for bound, span in (("grace", grace), ("max", most)):
        if span > default.cap:
            raise fields[bound].contradictory(
                f"{place.path}: {bound} is {spell(span)}; more than {spell(default.cap)} is never "
                "tolerated"
            )
    if grace > most:
        raise place.contradictory(
            f"{place.path}: grace, {spell(grace)}, is more than max, {spell(most)}"
        )
    return Rule(mode=mode, grace=grace, cap=default.cap, most=most, origin=origin)


def _read_skew(place: Place) -> timedelta:
    skew = place.duration()
    if skew > MOST_SKEW:
        raise place.contradictory(
            f"{place.path} is {spell(skew)}; beyond {spell(MOST_SKEW)} no clock would ever be wrong"
        )
    return skew


def _origin(name: str, place: Place) -> str:
    return f"{name} line {place.line}"
