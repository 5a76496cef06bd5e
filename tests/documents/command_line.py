"""The command line as Markdown, and its environment variables, read off the command tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from typer.main import get_command

from airgap.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PROGRAM", "Command", "Option", "command_reference", "commands", "environment_table"]

PROGRAM: Final = "airgap"
_VERBATIM: Final = "\b"
_HEAD: Final = """\
# Commands

Made from the program's own help by `scripts/cli-docs`; `airgap COMMAND --help` prints the same.
What all commands have in common (exit codes, JSON, standard output and error) is in
[scripting.md](scripting.md).
"""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option or argument: how it is spelled, its variable, its default, what it means."""

    spelled: str
    argument: bool
    variable: str | None
    default: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command or group: `name` with those above it, sentences, examples, parameters."""

    name: str
    group: bool
    help: str
    examples: tuple[str, ...]
    parameters: tuple[Option, ...]


def commands() -> list[Command]:
    """Return every command and group, each group before what is in it."""
    return list(_walk(get_command(app), PROGRAM))


def command_reference() -> str:
    """Return docs/cli.md."""
    return "\n".join([_HEAD, *(_chapter(command) for command in commands())])


def environment_table() -> str:
    """Return the table of the environment variables that stand for options."""
    users: dict[tuple[str, str], list[str]] = {}
    for command in commands():
        for parameter in command.parameters:
            if parameter.variable is not None:
                spelled = parameter.spelled.partition(" ")[0].rstrip(",")
                users.setdefault((parameter.variable, spelled), []).append(
                    command.name.removeprefix(f"{PROGRAM} ")
                )
    rows = [
        f"| `{variable}` | `{option}` | {_users(names)} |"
        for (variable, option), names in sorted(users.items())
    ]
    return "\n".join(["| Variable | Option | Commands |", "| --- | --- | --- |", *rows])


def _users(names: list[str]) -> str:
    return ", ".join("all" if name == PROGRAM else f"`{name}`" for name in names)


def _walk(command: Any, name: str) -> Iterator[Command]:  # noqa: ANN401 - typer's own copy of click has no public types
    said, _, shown = (command.help or "").partition(_VERBATIM)
    yield Command(
        name=name,
        group=hasattr(command, "commands"),
        help=" ".join(said.split()),
        examples=tuple(line.strip() for line in shown.splitlines() if line.strip()),
        parameters=tuple(_describe(one) for one in command.params if not _is_foreign(one)),
    )
    for child, below in getattr(command, "commands", {}).items():
        yield from _walk(below, f"{name} {child}")


def _is_foreign(parameter: Any) -> bool:  # noqa: ANN401 - the same
    """Tell whether typer itself added this option: it installs completion for shells."""
    return {"--install-completion", "--show-completion"} >= set(parameter.opts)


def _describe(parameter: Any) -> Option:  # noqa: ANN401 - the same
    argument = parameter.param_type_name == "argument"
    metavar = parameter.metavar or _metavar(parameter)
    spelled = metavar if argument else ", ".join(sorted(parameter.opts, key=len, reverse=True))
    flag = getattr(parameter, "is_flag", False)
    if not argument and not flag:
        spelled = f"{spelled} {metavar}"
    return Option(
        spelled=spelled,
        argument=argument,
        variable=parameter.envvar,
        default=_default(parameter, flag=flag),
        help=" ".join((parameter.help or "").split()),
    )


def _metavar(parameter: Any) -> str:  # noqa: ANN401 - the same
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return "|".join(getattr(choice, "value", str(choice)) for choice in choices)
    name = parameter.type.name
    return "PATH" if "path" in name else "N" if "int" in name else "TEXT"


def _default(parameter: Any, *, flag: bool) -> str:  # noqa: ANN401 - the same
    if parameter.required:
        return "required"
    if flag or parameter.default is None:
        return ""
    return f"`{getattr(parameter.default, 'value', parameter.default)}`"


def _chapter(command: Command) -> str:
    level = "##" if command.name.count(" ") < 2 else "###"  # airgap trust init: below its group
    parts = [f"{level} {command.name}", command.help]
    if not command.group:
        arguments = [one.spelled for one in command.parameters if one.argument]
        parts.append("```text\n" + " ".join([command.name, "[OPTIONS]", *arguments]) + "\n```")
    if command.examples:
        parts.append("\n".join(["```sh", *command.examples, "```"]))
    for argument, title in ((True, "Argument"), (False, "Option")):
        chosen = [one for one in command.parameters if one.argument is argument]
        if chosen:
            parts.append(_table(title, chosen))
    return "\n\n".join(parts) + "\n"


def _table(title: str, parameters: list[Option]) -> str:
    rows = [f"| {title} | Variable | Default | Meaning |", "| --- | --- | --- | --- |"]
    for one in parameters:
        variable = "" if one.variable is None else f"`{one.variable}`"
        cells = [f"`{one.spelled}`", variable, one.default, one.help]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)
