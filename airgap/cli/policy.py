"""`airgap policy`: what a policy file says, before it is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airgap.cli import options
from airgap.cli.output import Format, answering, print_json, print_line

__all__ = ["app"]

app = typer.Typer(help="The site's policy: what is asked of every bundle.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `check` a command of its own, since more will stand beside it."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy: YAML 1.2 or JSON.")],
    form: options.Form = Format.TEXT,
) -> None:
    """Check a policy file and say in words what it comes to. Exit code 2 where it is refused.

    \b
    airgap policy check policy.yaml
    """
    with answering(form):
        from airgap.policy_report import explain_policy

        report = explain_policy(file)
        if form is Format.JSON:
            print_json(report.to_json())
            return
        site = "" if report.policy.site is None else f"   site {report.policy.site}"
        print_line(f"{file}   this release judges all of it{site}")
        for words, origin in report.lines():
            print_line(f"  {words}   ({origin})")
