"""Output: the result on stdout and nothing else; messages and errors on stderr.

An answer about a bundle is a verdict, whatever was raised inside. What could not be done leaves
stdout empty; with ``--format json`` the last line of stderr is then one JSON object.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import typer

from airgap.errors import AirgapError, RejectedError, is_hidden, safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airgap.trust.verdict import Finding, Verdict

__all__ = [
    "Format",
    "answering",
    "human_size",
    "human_time",
    "note",
    "print_json",
    "print_line",
    "print_verdict",
]

_COLOURS: Final = {
    "PASS": "32",
    "TOLERATED": "33",
    "WARN": "33",
    "FAIL": "31",
    "ACCEPTED": "32",
    "REJECTED": "31",
}
_WIDTH_OUTCOME: Final = 11
_WIDTH_CHECK: Final = 15
_KIBI: Final = 1024
# The encoder has escaped the control characters below the space already.
_NOT_PLAIN: Final = re.compile(r"[^\n\x20-\x7e]")


class Format(StrEnum):
    """How a command answers: for people or for programs."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def answering(form: Format, *, refused: str = "nothing was written") -> Iterator[None]:
    """Turn whatever a command raises into its answer and its exit code.

    `refused` follows REJECTED on the first line of a verdict that said no.
    """
    try:
        yield
        # Here and not at the end of the process: a full disk or a closed pipe is an answer too.
        sys.stdout.flush()
    except RejectedError as error:
        print_verdict(error.verdict, form, refused=refused)
        raise typer.Exit(error.verdict.exit_code) from error
    except AirgapError as error:
        print_error(error, form)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        note("airgap: interrupted; the same command goes on where it stopped")
        raise typer.Exit(130) from error
    except BrokenPipeError as error:
        # The reader of our output went away; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from error
    except OSError as error:
        broken = AirgapError(
            f"{error.strerror or error}: {error.filename or ''}", reason="os-error"
        )
        broken.exit_code = 5  # type: ignore[misc]  # the class of a failure that no store foresaw
        broken.hint = "Check the path, its permissions and the disk, then run the command again."
        print_error(broken, form)
        raise typer.Exit(5) from error


def print_error(error: AirgapError, form: Format) -> None:
    """Say on stderr what could not be done, why it matters and what to do."""
    if form is Format.JSON:
        sys.stderr.write(_safe_json(error.to_json()) + "\n")
        sys.stderr.flush()
        return
    note(f"airgap: error: {error.message} ({error.reason})")
    note(f"airgap: hint: {error.hint}")


def note(text: str) -> None:
    """Say one line on stderr; what strangers wrote in it is made safe to print."""
    sys.stderr.write(safe(text) + "\n")
    sys.stderr.flush()


def print_line(text: str = "") -> None:
    """Write one line of the result; what strangers wrote in it is made safe to print."""
    sys.stdout.write(safe(text) + "\n")


def print_json(document: object) -> None:
    """Write the result as JSON."""
    sys.stdout.write(_safe_json(document, indent=2) + "\n")


def _safe_json(document: object, indent: int | None = None) -> str:
    """Return `document` as JSON in which every character that could fool a terminal is escaped.

    The values are the same: JSON has two spellings for each of these characters.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, sort_keys=True)
    return _NOT_PLAIN.sub(
        lambda match: json.dumps(match[0])[1:-1] if is_hidden(match[0]) else match[0], text
    )


def print_verdict(verdict: Verdict, form: Format, *, refused: str = "nothing was written") -> None:
    """Write a verdict: one word, then who, what number and when, then the findings."""
    if form is Format.JSON:
        print_json(verdict.to_json())
        return
    if verdict.accepted:
        _write("ACCEPTED", f"   {_title(verdict)}")
    else:
        _write("REJECTED", f"   {refused}")
        if title := _title(verdict):
            print_line(f"  {title}")
    for finding in _shown(verdict):
        _print_finding(finding)
    if verdict.accepted and verdict.importable_until is not None:
        print_line(
            f"Imports until {human_time(verdict.importable_until)}, "
            f"then: {verdict.importable_until_role} beyond its tolerance."
        )
    if verdict.audit:
        print_line(f"An audit as of {human_time(verdict.judged_at)}: nothing is loaded on it.")
    if verdict.accepted and verdict.already_current:
        print_line("Already current: this bundle was imported here before.")


def _title(verdict: Verdict) -> str:
    bundle = verdict.bundle
    parts = (
        [f"stream {bundle['stream']}, number {bundle['sequence']}"] if "stream" in bundle else []
    )
    if "authorityName" in bundle:
        parts.append(f"by {bundle['authorityName']}")
    if "created" in bundle:
        parts.append(f"made {str(bundle['created'])[:16].replace('T', ' ')} UTC")
    return ", ".join(parts)


def _shown(verdict: Verdict) -> Iterator[Finding]:
    """Yield the findings for people: those that passed once for each check, all others in full."""
    passed = set()
    for finding in verdict.findings:
        if finding.outcome == "pass" and finding.check in passed:
            continue
        if finding.outcome == "pass":
            passed.add(finding.check)
        yield finding
    yield from (finding for finding in verdict.failures if not verdict.of(finding.check))


def _print_finding(finding: Finding) -> None:
    outcome = str(finding.outcome).upper()
    if outcome in {"FAIL", "WARN"}:
        _write(f"  {outcome}", f"  {finding.check}  {finding.reason}")
        for line in (finding.sentence, finding.hint):
            if line:
                print_line(f"        {line}")
        return
    label = outcome if finding.outcome != "not asked" else "not asked"
    _write(
        f"  {label:<{_WIDTH_OUTCOME - 1}}", f" {finding.check:<{_WIDTH_CHECK}}{finding.sentence}"
    )
    if finding.outcome == "tolerated" and finding.hint:
        print_line(f"        {finding.hint}")


def _write(word: str, rest: str) -> None:
    code = _COLOURS.get(word.strip())
    if code is not None and _wants_colour():
        word = f"\x1b[{code}m{word}\x1b[0m"
    sys.stdout.write(word + safe(rest) + "\n")


def _wants_colour() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def human_size(size: int) -> str:
    """Spell a number of bytes for people."""
    if size < _KIBI:
        return f"{size} B"
    value = size / _KIBI
    for unit in ("KiB", "MiB"):
        if value < _KIBI:
            return f"{value:.1f} {unit}"
        value /= _KIBI
    return f"{value:.1f} GiB"


def human_time(moment: datetime) -> str:
    """Spell a time for people, in UTC, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")
