"""The rules of docs/architecture.md, read off the syntax trees; type-only imports obey them too."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airgap
from airgap.stores import STORES
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(airgap.__file__).parent

# Who may import whom, beside its own package. What is not listed stands at the top and may import
# everything but cli; of cli only `python -m airgap` knows.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "oci": frozenset({"errors"}),
    "stores": frozenset({"errors", "oci"}),
    "trust": frozenset({"errors", "oci"}),
    "bundle": frozenset({"errors", "oci", "stores"}),
    "ledger": frozenset({"errors", "oci", "trust"}),
    # The authority keeps its numbers in the ledger's kind of log; of the ledger it knows no more.
    "authority": frozenset({"errors", "oci", "trust", "ledger.log", "ledger.durable"}),
}
PURE = ("oci", "trust")
IMPURE = frozenset(
    {"os", "pathlib", "socket", "subprocess", "time", "requests", "oras", "io", "shutil", "glob",
     "tempfile", "urllib", "urllib3", "http", "ssl", "fcntl", "mmap", "random", "secrets",
     "asyncio"}
)  # fmt: skip
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "utcnow", "today"})
WRITES = frozenset({"write_blob", "write_manifest", "add_referrer", "mount_blob"})
VAGUE = re.compile(r"(.*_)?(utils?|helpers|common|managers?|handlers?|misc)")
REASON = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_FILE = 300
LONGEST_FUNCTION = 60


@dataclass(frozen=True)
class Module:
    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @property
    def package(self) -> str:
        """The name that the table of rules knows: a folder, or a module beside the folders."""
        first = self.path.relative_to(PACKAGE).with_suffix("").parts[0]
        return "authority" if first.startswith("authority_") else first

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_bytes())

    def imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} has a relative import"
                yield str(node.module)
                if node.module == "airgap":
                    yield from (f"airgap.{alias.name}" for alias in node.names)

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Yield each call with the last part of what is called."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield _last_name(node.func), node

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _of(package: str) -> list[Module]:
    return [module for module in MODULES if module.package == package]


def _external(module: Module) -> set[str]:
    return {name.partition(".")[0] for name in module.imports()} - {"airgap"}


def test_there_is_something_to_judge() -> None:
    assert len(MODULES) > 50
    for package in MAY_IMPORT:
        assert _of(package), package


def test_packages_import_what_they_may() -> None:
    wrong = []
    for module in MODULES:
        allowed = MAY_IMPORT.get(module.package)
        for imported in module.imports():
            parts = imported.split(".")
            if parts[0] != "airgap" or len(parts) == 1:
                continue
            target = "authority" if parts[1].startswith("authority_") else parts[1]
            if target == module.package or (target == "cli" and module.package == "__main__"):
                continue
            names = {target, ".".join(parts[1:3])}
            known = target == "__version__" or allowed is None or names & allowed
            if target == "cli" or not known:
                wrong.append(f"{module.name} imports {imported}")
    assert wrong == []


@pytest.mark.parametrize("package", PURE)
def test_values_and_judgement_do_no_io(package: str) -> None:
    wrong = [
        f"{module.name}: {name}"
        for module in _of(package)
        for name in [
            *(_external(module) & IMPURE),
            *(name for name, _ in module.calls() if name in IMPURE_CALLS),
        ]
    ]
    assert wrong == []


def test_nothing_needs_the_conformance_programs() -> None:
    wrong = [
        module.name
        for module in MODULES
        if module.package != "conformance"
        and any(name.startswith("airgap.conformance") for name in module.imports())
    ]
    assert _of("conformance")
    assert wrong == []


def test_each_heavy_library_has_one_place() -> None:
    wrong = []
    for module in MODULES:
        external = _external(module)
        if "oras" in external and not module.name.startswith("airgap.stores.registry"):
            wrong.append(f"{module.name} imports oras")
        if external & {"typer", "tqdm", "click"} and module.package != "cli":
            wrong.append(f"{module.name} imports {external & {'typer', 'tqdm', 'click'}}")
        if external & {"pydantic", "jwt"}:
            wrong.append(f"{module.name} imports {external}")
    assert wrong == []


def test_only_the_command_line_prints_exits_and_reads_the_environment() -> None:
    wrong = [
        f"{module.name}: {name}"
        for module in MODULES
        if module.package != "cli"
        for node in ast.walk(module.tree)
        for name in [_speaks(node)]
        if name
    ]
    assert wrong == []


def _speaks(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id if node.func.id in {"print", "input", "breakpoint"} else ""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
        return name if name in {"os.environ", "os.getenv", "sys.exit", "sys.argv"} else ""
    return ""


# --- the verdict is the only door -----------------------------------------------------------


def test_only_a_verdict_makes_an_admission() -> None:
    makers = [
        (module.name, function.name)
        for module in MODULES
        for function in module.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _last_name(node.func) == "Admission"
    ]
    assert makers == [("airgap.trust.verdict", "admit")]
    named = [module.name for module in MODULES for name, _ in module.calls() if name == "Admission"]
    assert named == ["airgap.trust.verdict"]
    # Nor does anybody change one, or a verdict, into another by the back door.
    for module in MODULES:
        replaces = [node for name, node in module.calls() if name in {"__new__", "__setattr__"}]
        assert replaces == [], module.name


def test_only_loading_copies_and_only_with_an_admission() -> None:
    importers = [
        module.name
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "airgap.stores.copy"
        and "copy" in {alias.name for alias in node.names}
    ]
    assert importers == ["airgap.loading"]
    whole = [module.name for module in MODULES if "airgap.stores.copy" in _whole_imports(module)]
    assert whole == []
    callers = [
        function
        for module in MODULES
        if module.name == "airgap.loading"
        for function in module.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "copy"
    ]
    assert [function.name for function in callers] == ["load"]
    parameters = {
        argument.arg: ast.unparse(argument.annotation)
        for argument in [*callers[0].args.args, *callers[0].args.kwonlyargs]
        if argument.annotation
    }
    assert parameters["admission"] == "Admission"
    assert callers[0].args.defaults == []


def _whole_imports(module: Module) -> set[str]:
    """Return the modules of ours that a module imports as a whole, not some names of them."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found - {"airgap.stores.copy.copy"}


def test_nothing_else_writes_to_a_repository() -> None:
    writers = {
        (module.name, name)
        for module in MODULES
        if module.package != "stores"
        for name, _ in module.calls()
        if name in WRITES
    }
    assert writers <= {
        ("airgap.loading", "write_manifest"),  # tags, last of all
        ("airgap.release_record", "write_blob"),
        ("airgap.release_record", "write_manifest"),
    }


def test_nobody_takes_a_verdict_for_a_yes() -> None:
    """`admit` decides; what else asks `accepted` only renders or picks an exit code."""
    wrong = [
        f"{module.name} line {node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert)
        for test in [node.test]
        if _last_name(test.operand if isinstance(test, ast.UnaryOp) else test) == "verdict"
    ]
    assert wrong == []


# --- shape ----------------------------------------------------------------------------------


def test_a_file_is_one_idea_and_a_function_fits_a_screen() -> None:
    wrong = [
        f"{module.path.relative_to(PACKAGE)}: {lines} lines"
        for module in MODULES
        if (lines := len(module.path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    wrong += [
        f"{module.name}.{function.name}: {lines} lines"
        for module in MODULES
        for function in module.functions()
        if (lines := _lines(module, function)) > LONGEST_FUNCTION
    ]
    assert wrong == []


def _lines(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    # A command has as many parameters as it has options; each says what it is. They do not count.
    first = function.body[0] if module.package == "cli" else function
    return (function.end_lineno or 0) - first.lineno + 1


def test_modules_are_named_after_what_they_are() -> None:
    wrong = [m.name for m in MODULES if any(VAGUE.fullmatch(part) for part in m.name.split("."))]
    assert wrong == []


def test_no_error_is_swallowed() -> None:
    wrong = [
        f"{module.name} line {node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or _last_name(node.type) in {"Exception", "BaseException"})
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]
    assert wrong == []


def test_reason_codes_are_words_with_dashes() -> None:
    wrong = [
        f"{module.name} line {node.lineno}: {keyword.value.value!r}"
        for module in MODULES
        for _, node in module.calls()
        for keyword in node.keywords
        if keyword.arg == "reason"
        and isinstance(keyword.value, ast.Constant)
        and not REASON.fullmatch(str(keyword.value.value))
    ]
    assert wrong == []


def test_every_name_that_a_module_offers_is_there() -> None:
    for module in MODULES:
        if module.name == "airgap.__main__":
            continue
        loaded = importlib.import_module(module.name)
        offered = getattr(loaded, "__all__", None)
        has_code = any(not isinstance(node, ast.Expr) for node in module.tree.body)
        assert offered is not None or not has_code, f"{module.name} has no __all__"
        missing = [name for name in offered or () if not hasattr(loaded, name)]
        assert missing == [], module.name


def test_every_transport_has_its_opener() -> None:
    for transport, place in STORES.items():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), transport


_WATCH = """
import importlib, os, sys

package = os.path.dirname(sys.argv[1])
WATCHED = ("open", "socket.", "subprocess.", "os.", "shutil.", "tempfile.", "urllib.")
HARMLESS = ("os.putenv", "os.unsetenv")  # libraries do so to themselves

def watch(event, arguments):
    if not event.startswith(WATCHED) or event in HARMLESS:
        return
    frame = sys._getframe(1)
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        if frame.f_code.co_filename.startswith(package):
            print(frame.f_code.co_filename, event, arguments)
            return
        frame = frame.f_back

sys.addaudithook(watch)
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def test_nothing_is_read_or_written_at_import() -> None:
    names = [module.name for module in MODULES if module.package != "__main__"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    run = subprocess.run(
        [sys.executable, "-c", _WATCH, airgap.__file__, *names],
        check=True,
        capture_output=True,
        text=True,
        env=clean,
        cwd=REPOSITORY,
    )
    assert run.stdout == ""


# --- what is installed ----------------------------------------------------------------------


def _schemas(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def test_an_editable_install_has_the_schemas_beside_the_package() -> None:
    assert PACKAGE.parent == REPOSITORY
    assert _schemas(REPOSITORY / "schemas")


def test_the_wheel_has_the_same_schemas_and_the_whole_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
    )
    (file,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        found = {name: wheel.read(name) for name in wheel.namelist()}
    schemas = {
        name.removeprefix("airgap/schemas/"): data
        for name, data in found.items()
        if name.startswith("airgap/schemas/")
    }
    assert schemas == _schemas(REPOSITORY / "schemas")
    for module in MODULES:
        assert found[str(module.path.relative_to(REPOSITORY))] == module.path.read_bytes()
    assert found["airgap/py.typed"] == b""
    strangers = [name for name in found if not name.startswith(("airgap/", "airgap_toolkit-"))]
    assert strangers == []
