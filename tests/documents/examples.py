"""The examples of the documentation, run as they stand: which blocks, which commands, which words.

A ``console`` block after ``<!-- run -->`` is run, line by line as a person would, in one folder
for each page. ``<!-- run: COMMAND -->`` does something unseen first, such as carrying a file over.
Lines that begin with ``$`` are commands (a backslash goes on in the next line), the others what
they print: the first word of each must be in the real output. ``(exit 4)`` says how it ends.

What cannot be the same twice is put in its place: the hosts of the registries, the fingerprint,
the codes of bundles. Nothing else of a command is touched.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Block", "Example", "Stage", "read_blocks"]

SOURCE: Final = "registry.example"
TARGET: Final = "registry.local:5000"
_BLOCK: Final = re.compile(
    r"<!-- run(?:: (?P<first>[^\n]*?))? -->\n+```console\n(?P<body>.*?)\n```", re.DOTALL
)
_FINGERPRINT: Final = re.compile(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){6}\b")
_CODE: Final = re.compile(r"\b([1-9][0-9]*):[0-9A-Z]{4}-[0-9A-Z]{4}\b")
_PART_OF_NAME: Final = re.compile(rf"(?<=[^/]/){re.escape(SOURCE)}")
_EXIT: Final = re.compile(r"\(exit ([0-9]+)\)")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One command, the first words of what it prints, and its exit code."""

    command: str
    words: tuple[str, ...]
    code: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of examples; `first` is what is done unseen before it."""

    first: str
    examples: tuple[Example, ...]


def read_blocks(text: str) -> tuple[Block, ...]:
    """Return the blocks of a page that are to be run."""
    return tuple(
        Block(first=match["first"] or "", examples=tuple(_read(match["body"])))
        for match in _BLOCK.finditer(text)
    )


def _read(body: str) -> Iterator[Example]:
    lines = body.replace("\\\n", "").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = [line.strip() for line in lines[start + 1 : end] if line.strip()]
        codes = [int(match[1]) for line in shown if (match := _EXIT.fullmatch(line))]
        words = [line.split()[0] for line in shown if not _EXIT.fullmatch(line)]
        yield Example(
            command=lines[start].removeprefix("$ "),
            words=tuple(word for word in words if word.isalpha()),
            code=codes[0] if codes else 0,
        )


@dataclass(kw_only=True)
class Stage:
    """Where examples are run: a folder, two registries, and what earlier commands have said."""

    folder: Path
    environment: Mapping[str, str]
    source: str
    target: str
    fingerprint: str = ""
    codes: dict[str, str] = field(default_factory=dict)

    def run(self, block: Block) -> None:
        """Run a block; an assertion tells what did not go as the page says."""
        if block.first:
            self._run(block.first)
        for example in block.examples:
            code, output = self._run(example.command)
            assert code == example.code, f"$ {example.command}\n{output}\n(exit {code})"
            for word in example.words:
                assert word in output, (
                    f"{word!r} is not in what was printed by\n{example.command}\n{output}"
                )

    def _run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._fit(command)],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        output = done.stdout + done.stderr
        for found in _FINGERPRINT.findall(output):
            self.fingerprint = self.fingerprint or found
        for match in _CODE.finditer(output):
            self.codes.setdefault(match[1], match[0])
        return done.returncode, output

    def _fit(self, command: str) -> str:
        command = _PART_OF_NAME.sub(self.source.replace(":", "__"), command)
        command = command.replace(SOURCE, self.source).replace(TARGET, self.target)
        command = _FINGERPRINT.sub(lambda match: self.fingerprint or match[0], command)
        return _CODE.sub(lambda match: self.codes.get(match[1], match[0]), command)
