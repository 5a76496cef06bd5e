"""Policy: what a site asks of every bundle, as one value. It knows nothing of files and YAML.

* One policy is in force: the built-in one, or what `in_force` makes of the site's file.
* A further file can only add failures: `tighten` takes of each setting the stricter value, of
  grace and max the smaller. Clock, bootstrap and load are never taken from it.
* What a person says for one run (`airgap.trust.tolerance`) goes no further than the policy lets it.

Source: docs/policy.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from airgap.trust.expiry import SKEW
from airgap.trust.expiry_rule import BUILT_IN, DEFAULT_RULES, NOTHING, Mode, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from airgap.oci.digest import Digest

__all__ = [
    "BUILT_IN_POLICY",
    "Bootstrap",
    "Gap",
    "Level",
    "Policy",
    "PolicyFile",
    "ReadBack",
    "Setting",
    "in_force",
    "level_rules",
    "tighten",
]

_T = TypeVar("_T")


class Level(StrEnum):
    """A named starting point for what is said of no role by itself."""

    STRICT = "strict"
    BALANCED = "balanced"
    AUDIT = "audit"


class Gap(StrEnum):
    """Which gaps in a stream are passed without a person."""

    HEALED = "healed"
    NONE = "none"


class Bootstrap(StrEnum):
    """Whether a person must say that the first bundle of a stream is no old one."""

    ASK = "ask"
    ACCEPT = "accept"


class ReadBack(StrEnum):
    """What is read back and hashed after it was written, besides what was there already."""

    MANIFESTS = "manifests"
    NEW = "new"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Setting(Generic[_T]):
    """A value, and where it stands: a line of a file, or the built-in defaults."""

    value: _T
    origin: str = BUILT_IN


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyFile:
    """What one policy file says, and nothing that it does not say (None).

    `name` is what findings call it, `digest` that of its bytes. `rules` has the roles that the
    file names.
    """

    name: str
    digest: Digest
    level: Setting[Level] | None = None
    site: str | None = None
    rules: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    skew: Setting[timedelta] | None = None
    allow_gap: Setting[Gap] | None = None
    bootstrap: Setting[Bootstrap] | None = None
    read_back: Setting[ReadBack] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What is asked. `files` are those that it was made from, the site's first; none: built in."""

    files: tuple[PolicyFile, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=lambda: DEFAULT_RULES, hash=False)
    skew: Setting[timedelta] = Setting(SKEW)
    allow_gap: Setting[Gap] = Setting(Gap.HEALED)
    bootstrap: Setting[Bootstrap] = Setting(Bootstrap.ASK)
    read_back: Setting[ReadBack] = Setting(ReadBack.MANIFESTS)

    @property
    def site(self) -> str | None:
        """What the site's own file calls the site."""
        return self.files[0].site if self.files else None

    def to_json(self) -> dict[str, object]:
        """Return which files were in force, for verdicts and receipts."""
        return {
            "files": [{"name": file.name, "digest": str(file.digest)} for file in self.files],
            **({} if self.site is None else {"site": self.site}),
        }


BUILT_IN_POLICY: Final = Policy()
"""What a site without a policy file asks: max is the cap."""

_STRICTEST_FIRST: Final = (Mode.ENFORCE, Mode.GRACE, Mode.WARN, Mode.OFF)


def level_rules(level: Level, origin: str) -> dict[str, Rule]:
    """Return the expiry rules of `level`, which says so at `origin`. Its max is its grace."""
    return {role: _at_level(rule, level, origin) for role, rule in DEFAULT_RULES.items()}


def _at_level(rule: Rule, level: Level, origin: str) -> Rule:
    if level is Level.STRICT:
        return replace(rule, mode=Mode.ENFORCE, grace=NOTHING, most=NOTHING, origin=origin)
    if level is Level.BALANCED:
        return replace(rule, most=rule.grace, origin=origin)
    return replace(rule, mode=Mode.WARN, grace=rule.cap, most=rule.cap, origin=origin)


def in_force(file: PolicyFile) -> Policy:
    """Return the policy of a site whose file is `file`; what it does not say is balanced."""
    level = file.level or Setting(Level.BALANCED, f"{file.name}, by default,")
    return Policy(
        files=(file,),
        rules=MappingProxyType({**level_rules(level.value, level.origin), **file.rules}),
        skew=file.skew or Setting(SKEW),
        allow_gap=file.allow_gap or Setting(Gap.HEALED),
        bootstrap=file.bootstrap or Setting(Bootstrap.ASK),
        read_back=file.read_back or Setting(ReadBack.MANIFESTS),
    )


def tighten(policy: Policy, further: PolicyFile) -> Policy:
    """Return `policy` with what `further` asks on top: it accepts nothing that one of them refuses.

    Of what `further` says of clock, bootstrap and load nothing is taken.
    """
    level = further.level
    asked = {**level_rules(level.value, level.origin), **further.rules} if level else further.rules
    gap = policy.allow_gap
    if further.allow_gap is not None and further.allow_gap.value is Gap.NONE is not gap.value:
        gap = further.allow_gap
    return replace(
        policy,
        files=(*policy.files, further),
        rules=MappingProxyType(
            {
                role: _stricter(rule, asked[role]) if role in asked else rule
                for role, rule in policy.rules.items()
            }
        ),
        allow_gap=gap,
    )


def _stricter(one: Rule, other: Rule) -> Rule:
    both = replace(
        one,
        mode=min(one.mode, other.mode, key=_STRICTEST_FIRST.index),
        grace=min(one.grace, other.grace),
        most=min(one.reach, other.reach),
        cap=min(one.cap, other.cap),
    )
    for rule in (one, other):
        bounds = (rule.mode, rule.grace, rule.reach, rule.cap)
        if bounds == (both.mode, both.grace, both.reach, both.cap):
            return replace(both, origin=rule.origin)
    return replace(both, origin=f"{one.origin} and {other.origin}")
