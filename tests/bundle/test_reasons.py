"""Every reason code of the package is in the table that people read."""

from __future__ import annotations

import re
from pathlib import Path

import airgap.bundle

SOURCES = sorted(Path(airgap.bundle.__file__).parent.glob("*.py"))


def test_the_table_of_reason_codes_is_complete() -> None:
    text = "".join(file.read_text("utf-8") for file in SOURCES)
    used = set(re.findall(r'(?:reason=|_INVALID: Final = )"([a-z-]+)"', text))
    table = airgap.bundle.__doc__ or ""
    listed = set(re.findall(r"^\| ([a-z][a-z-]+(?:, [a-z-]+)*) +\|", table, re.MULTILINE))
    codes = {code for entry in listed for code in entry.split(", ")}
    shared = {"field-invalid", "manifest-too-large", "descriptor-size-mismatch"}
    assert used - shared <= codes
    assert codes <= used
    assert shared <= set(re.findall(r"[a-z-]+", table.partition("Shared with")[2]))


def test_every_file_is_in_the_table_of_files() -> None:
    table = airgap.bundle.__doc__ or ""
    names = {file.name for file in SOURCES} - {"__init__.py"}
    assert names == set(re.findall(r"`([a-z_]+\.py)`", table))
