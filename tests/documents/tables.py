"""The tables in docs/ that are made from the program, and the marks between which they stand.

A generated table stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``. The
pages around them are written by people; `scripts/cli-docs` renews what stands between the marks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airgap import errors
from airgap.authority_edition import Lifetimes
from airgap.trust.expiry import SKEW, judge
from airgap.trust.expiry_rule import DEFAULT_RULES, Mode, Rule
from tests.documents.command_line import environment_table
from tests.documents.worked_example import offsets_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["TABLES", "exit_code_table", "expiry_table", "fill", "lifetime_table"]

_BLOCK: Final = re.compile(
    r"(?P<start><!-- generated: (?P<name>[a-z-]+) -->\n)"
    r"(?P<table>.*?)(?P<end><!-- end: (?P=name) -->)",
    re.DOTALL,
)
_EXPIRED: Final = datetime(2026, 12, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def exit_code_table() -> str:
    """Return the table of exit codes, from the error tree."""
    rows: dict[int, list[tuple[str, str, str]]] = {}
    for kind in _errors():
        said = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        rows.setdefault(kind.exit_code, []).append((kind.__name__, said, kind.default_hint))
    lines = ["| Code | Class | What happened | What to do next |", "| --- | --- | --- | --- |"]
    lines.append("| 0 | | Done. What was tolerated or warned of was printed. | |")
    bug = "A bug of ours, with a traceback; or the reader of our output went away."
    lines.append(f"| 1 | | {bug} | Report it. |")
    for code in sorted(rows):
        lines += [f"| {code} | `{name}` | {said} | {hint} |" for name, said, hint in rows[code]]
    lines.append("| 130 | | Interrupted by Ctrl-C. | Run the same command again: it resumes. |")
    return "\n".join(lines)


def _errors() -> list[type[errors.AirgapError]]:
    """Return the classes of errors, the tree in order; the base is never raised by itself."""

    def below(kind: type[errors.AirgapError]) -> Iterator[type[errors.AirgapError]]:
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield child
                yield from below(child)

    return list(below(errors.AirgapError))


def lifetime_table() -> str:
    """Return the table of roles: how long they are good for, and what is tolerated after it."""
    lines = ["| Role | Good for | Mode | Grace | Cap |", "| --- | --- | --- | --- | --- |"]
    for role, rule in DEFAULT_RULES.items():
        lifetime: timedelta = getattr(Lifetimes(), role.removeprefix("tuf."))
        lines.append(
            f"| `{role}` | {lifetime.days} d | `{rule.mode}` | {rule.grace.days} d "
            f"| {rule.cap.days} d |"
        )
    return "\n".join(lines)


def expiry_table() -> str:
    """Return the table of outcomes by role, overdue and mode, as `judge` answers."""
    modes = list(Mode)
    lines = [
        "| Role | Overdue | " + " | ".join(f"`{mode}`" for mode in modes) + " |",
        "| --- | --- |" + " --- |" * len(modes),
    ]
    for roles, rule in _merged_rules():
        for spelled, overdue in _moments(rule):
            cells = [_outcome(roles[0], rule, mode, overdue) for mode in modes]
            names = ", ".join(f"`{role}`" for role in roles)
            lines.append(f"| {names} | {spelled} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _merged_rules() -> list[tuple[list[str], Rule]]:
    merged: dict[Rule, list[str]] = {}
    for role, rule in DEFAULT_RULES.items():
        merged.setdefault(rule, []).append(role)
    return [(roles, rule) for rule, roles in merged.items()]


def _moments(rule: Rule) -> list[tuple[str, timedelta]]:
    grace, cap = rule.grace, rule.cap
    return [
        ("1 s before its end", -_SECOND),
        ("0 s, at its end", timedelta(0)),
        (f"{grace.days} d", grace),
        (f"{grace.days} d and 1 s", grace + _SECOND),
        (f"{cap.days} d", cap),
        (f"{cap.days} d and 1 s", cap + _SECOND),
    ]


def _outcome(role: str, rule: Rule, mode: Mode, overdue: timedelta) -> str:
    finding = judge(
        role,
        Rule(mode=mode, grace=rule.grace, cap=rule.cap),
        not_after=_EXPIRED,
        created=_EXPIRED - timedelta(days=30),
        now=_EXPIRED + overdue,
        skew=SKEW,
    )
    return f"{finding.outcome}: `{finding.reason}`"


TABLES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "exit-codes": exit_code_table,
        "environment": environment_table,
        "lifetimes": lifetime_table,
        "expiry": expiry_table,
        "offsets": offsets_table,
    }
)
"""Name of a generated table → what makes it."""


def fill(text: str) -> str:
    """Return a page with all of its generated tables made anew."""

    def renew(match: re.Match[str]) -> str:
        return f"{match['start']}{TABLES[match['name']]()}\n{match['end']}"

    return _BLOCK.sub(renew, text)
