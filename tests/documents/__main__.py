"""Write what is generated in docs/: `scripts/cli-docs`."""

from __future__ import annotations

import sys

from tests.conftest import REPOSITORY
from tests.documents.command_line import command_reference
from tests.documents.tables import fill


def main() -> None:
    """Write docs/cli.md, and renew the generated tables of the other pages."""
    docs = REPOSITORY / "docs"
    wanted = {docs / "cli.md": command_reference()}
    for page in sorted(docs.glob("*.md")):
        if page.name != "cli.md":
            wanted[page] = fill(page.read_text(encoding="utf-8"))
    for page, text in wanted.items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            sys.stderr.write(f"docs: wrote {page.relative_to(REPOSITORY)}\n")


if __name__ == "__main__":
    main()
