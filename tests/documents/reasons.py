"""Every reason code that the source can give, read off the syntax trees; and the exit codes.

A code is a text that is passed, assigned or defaulted as `reason`. A code that is put together
from a role (``expired-{role}``) counts as ``expired-ROLE``. Whatever cannot be read is an error:
a code that nobody can find cannot be documented.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import airgap
from airgap import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["collect_reasons"]

_PACKAGE: Final = Path(airgap.__file__).parent
_REASON: Final = "reason"
_APART: Final = _PACKAGE / "conformance"
"""Programs for other people's test suites: no command answers with what they say."""


def collect_reasons() -> dict[str, set[int]]:
    """Return each reason code with the exit codes of the errors that are raised with it by name.

    The exit codes are those that can be read where the code stands; others come on top.
    """
    found: defaultdict[str, set[int]] = defaultdict(set)
    for path in sorted(_PACKAGE.rglob("*.py")):
        if path.is_relative_to(_APART):
            continue
        module = _Module(path)
        for code, exits in module.codes():
            found[code] |= exits
    return dict(found)


class _Module:
    """One source file: its functions that take a reason, its constants that are one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tree = ast.parse(path.read_bytes())
        self._constants = dict(self._read_constants())
        self._positions = dict(self._read_positions())

    def codes(self) -> Iterator[tuple[str, set[int]]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._of_call(node)
            elif isinstance(node, ast.Assign):
                for code in self._of_assignment(node):
                    yield code, set()
            elif isinstance(node, ast.arguments):
                for code in self._of_defaults(node):
                    yield code, set()

    def _read_constants(self) -> Iterator[tuple[str, str]]:
        for node in self._tree.body:
            target: ast.expr | None = None
            value: ast.expr | None = None
            if isinstance(node, ast.AnnAssign):
                target, value = node.target, node.value
            elif isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                yield target.id, str(value.value)

    def _read_positions(self) -> Iterator[tuple[str, int]]:
        """Yield the functions of this file that take a reason by its place, and which place."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
                if _REASON in names:
                    yield node.name, names.index(_REASON) - (names[0] in {"self", "cls"})

    def _of_call(self, node: ast.Call) -> Iterator[tuple[str, set[int]]]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        kind = getattr(errors, name, None)
        # The base is never raised by itself: whoever makes one gives it a code of its own.
        exits: set[int] = set()
        if isinstance(kind, type) and issubclass(kind, errors.AirgapError):
            exits = {kind.exit_code} if kind is not errors.AirgapError else set()
        values = [keyword.value for keyword in node.keywords if keyword.arg == _REASON]
        position = self._positions.get(name)
        if position is not None and position < len(node.args):
            values.append(node.args[position])
        for value in values:
            for code in self._read(value):
                yield code, exits

    def _of_assignment(self, node: ast.Assign) -> Iterator[str]:
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == _REASON:
                yield from self._read(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for name, value in zip(target.elts, node.value.elts, strict=True):
                    if isinstance(name, ast.Name) and name.id == _REASON:
                        yield from self._read(value)

    def _of_defaults(self, node: ast.arguments) -> Iterator[str]:
        positional = [*node.posonlyargs, *node.args]
        pairs = [
            *zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True),
            *zip(node.kwonlyargs, node.kw_defaults, strict=True),
        ]
        for argument, default in pairs:
            if argument.arg == _REASON and default is not None:
                yield from self._read(default)

    def _read(self, value: ast.expr) -> Iterator[str]:
        """Yield the codes that an expression can be; one that is passed on is found elsewhere."""
        match value:
            case ast.Constant(value=""):
                pass
            case ast.Constant(value=str(text)):
                yield text
            case ast.Name(id=name) if name in self._constants:
                yield self._constants[name]
            case ast.Name(id="reason") | ast.Attribute(attr="reason"):
                pass
            case ast.Call(args=[ast.Constant(value="reason")]):
                pass  # read back from where it was written down
            case ast.BoolOp(values=values):
                for each in values:
                    yield from self._read(each)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._read(body)
                yield from self._read(orelse)
            case ast.JoinedStr(values=parts):
                yield "".join(_spell(part) for part in parts)
            case _:
                place = f"{self._path.name}:{value.lineno}"
                raise AssertionError(f"{place}: a reason that cannot be read: {ast.unparse(value)}")


def _spell(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return ast.unparse(part.value).upper()
    assert isinstance(part, ast.Constant)
    return str(part.value)
