"""The documentation is true: generated parts are current, examples run, links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from airgap.trust.verdict import _EXIT_ORDER
from tests.conftest import REPOSITORY, find_tool
from tests.documents.command_line import PROGRAM, Command, command_reference, commands
from tests.documents.examples import SOURCE, TARGET, Example, Stage, read_blocks
from tests.documents.reasons import collect_reasons
from tests.documents.stage import open_stage
from tests.documents.tables import TABLES, exit_code_table, fill
from tests.journey import Journey, run
from tests.release_team import upkeep_documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journey import Answer

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
OTHERS = [REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "samples/README.md")]
SAMPLE = f"oci:{REPOSITORY}/samples/hello:registry.example/samples/hello:1.0"
LEAVES = [command for command in commands() if not command.group]

LINK: Final = re.compile(r"\[[^\]]*\]\((?!https?://)([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE_ROW: Final = re.compile(r"^\| `([A-Za-z0-9-]+)` \| ([0-9, ]+) \|", re.MULTILINE)
MENTIONED: Final = re.compile(r"`([a-z]+(?:-[a-z]+)+)`")
TEST_FILE: Final = re.compile(r"`(tests/[a-z_/]+\.py)`")


def title(value: object) -> str:
    return str(getattr(value, "name", value))


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


# --- what is generated ----------------------------------------------------------------------


def test_the_reference_of_commands_is_current() -> None:
    assert text_of("cli.md") == command_reference(), "run scripts/cli-docs"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_generated_tables_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == fill(text), "run scripts/cli-docs"


def test_every_generated_table_is_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {name for name in TABLES if f"<!-- generated: {name} -->" in pages} == set(TABLES)


def test_the_exit_codes_are_those_of_the_error_tree() -> None:
    table = exit_code_table()
    codes = [int(match) for match in re.findall(r"^\| ([0-9]+) \|", table, re.MULTILINE)]
    assert sorted(set(codes)) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
    order = " before ".join(str(code) for code in _EXIT_ORDER)
    assert order in text_of("scripting.md")


# --- commands -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", LEAVES, ids=title)
def test_every_command_has_help_with_examples(command: Command) -> None:
    assert command.help.endswith((".", "amiss."))
    assert command.examples
    assert all(example.startswith(f"{command.name}") for example in command.examples)
    for parameter in command.parameters:
        assert parameter.help, f"{command.name} {parameter.spelled}"


@pytest.mark.parametrize("command", LEAVES, ids=title)
def test_examples_in_the_help_name_options_that_there_are(command: Command) -> None:
    known = {
        word.strip(",")
        for parameter in command.parameters
        for word in parameter.spelled.split()
        if word.startswith("-")
    }
    for example in command.examples:
        shown = example.partition("#")[0]
        used = {word for word in shown.split() if re.match(r"--?[a-z]", word)}
        assert used <= known, example


def test_commands_in_the_documentation_are_there() -> None:
    names = {command.name for command in commands()}
    groups = {command.name for command in commands() if command.group and command.name != PROGRAM}
    wrong = []
    for page in [*PAGES, *OTHERS]:
        for words in re.findall(
            r"^\$? ?airgap ([a-z]+)(?: ([a-z]+))?", page.read_text(), re.MULTILINE
        ):
            name = f"{PROGRAM} {words[0]}"
            if name in groups:
                name = f"{name} {words[1]}"
            if name not in names:
                wrong.append(f"{page.name}: {name}")
    assert wrong == []


def test_options_in_the_documentation_are_there() -> None:
    known = {
        word.strip(",")
        for command in commands()
        for parameter in command.parameters
        for word in parameter.spelled.split()
    }
    foreign = {"--all", "--help", "--insecure-"}
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for span in re.findall(r"`(--[a-z-]+)[^`]*`", text):
            assert span in known | foreign, f"{page.name}: {span}"


# --- links and words ------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name}: {link}"


def _anchors(page: Path) -> set[str]:
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    linked = {link for link in LINK.findall(readme) if link.startswith("docs/")}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} == linked


def test_files_that_are_named_are_there() -> None:
    for page in PAGES:
        for name in TEST_FILE.findall(page.read_text(encoding="utf-8")):
            assert (REPOSITORY / name).exists(), f"{page.name}: {name}"


# --- reason codes ---------------------------------------------------------------------------


def documented() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for code, exits in CODE_ROW.findall(text_of("reason-codes.md")):
        assert code not in found, f"{code} is documented twice"
        found[code] = {int(each) for each in exits.split(",")}
    return found


def test_every_reason_code_is_documented() -> None:
    assert sorted(collect_reasons().keys() - documented().keys()) == []


def test_every_documented_reason_code_is_there() -> None:
    assert sorted(documented().keys() - collect_reasons().keys()) == []


def test_reason_codes_are_documented_with_their_exit_codes() -> None:
    codes = documented()
    wrong = {
        code: (exits, codes[code])
        for code, exits in collect_reasons().items()
        if code in codes and exits and not exits & codes[code]
    }
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_codes_on_other_pages_are_codes(page: Path) -> None:
    """Words with dashes in the manner of reason codes: in tables of answers, and after `fail`."""
    codes = collect_reasons().keys()
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for outcome, code in re.findall(r"(pass|fail|tolerated|warn): `([a-z-]+)`", text):
        assert code in codes, f"{page.name}: {outcome}: {code}"
    if page.name in {"sequence.md", "expiry.md", "trust.md", "loading.md", "names.md"}:
        known = {*codes, "airgap-toolkit", "not-supported-yet", "ecdsa-p256", "ecdsa-p384",
                 "rsa-pss-3072", "docker-registry"}  # fmt: skip
        assert set(MENTIONED.findall(text)) <= known


# --- JSON and the environment ---------------------------------------------------------------


def json_fields() -> dict[str, set[str]]:
    """Return the fields that scripting.md lists for each command."""
    rows = re.findall(r"^\| `([a-z -]+)` \| (.*(?:`schemaVersion`|as `verify`).*) \|$",
                      text_of("scripting.md"), re.MULTILINE)  # fmt: skip
    return {
        command: set(re.findall(r"`([A-Za-z_]+)`", cells)) - {"verify"} for command, cells in rows
    }


def documents(journey: Journey) -> Iterator[tuple[str, Answer]]:
    """Yield a document of every command that prints one."""
    state = ("--state", journey.state, "--format", "json")
    yield "trust init", run(
        "trust", "init", "x", "--authority", journey.folder / "x", "--no-passphrase",
        "--format", "json",
    )  # fmt: skip
    yield "trust pin", run(
        "trust", "pin", journey.authority / "root.json", "--fingerprint", journey.fingerprint,
        "--names", "registry.example/**", *state,
    )  # fmt: skip
    yield "trust show", run("trust", "show", *state)
    output = journey.folder / "again.tar"
    yield "export", run(
        "export", SAMPLE, "--authority", journey.authority, "--stream", "other", "-o", output,
        "--format", "json",
    )  # fmt: skip
    bundle = journey.export(SAMPLE)
    code = ("--bootstrap", journey.codes[1])
    yield "verify", journey.verify(bundle, *code)
    yield "import", journey.load(bundle, *code, "--dry-run")
    yield "import", journey.load(bundle, *code)
    yield "inspect", run("inspect", bundle, "--format", "json")
    yield "doctor", run("doctor", *state)
    yield "store list", run("store", "list", *state)
    yield "store verify", run("store", "verify", *state)
    yield "log show", run("log", "show", *state)
    yield "log verify", run("log", "verify", *state)
    policy = journey.folder / "policy.yaml"
    policy.write_text("version: 1\n")
    yield "policy check", run("policy", "check", policy, "--format", "json")
    yield from upkeep_documents(journey.folder / "team")


def test_the_fields_of_json_documents_are_listed(tmp_path: Path) -> None:
    listed = json_fields()
    printed: dict[str, set[str]] = {}
    for command, answer in documents(Journey.begin(tmp_path)):
        assert answer.code == 0, f"{command}\n{answer.out}\n{answer.err}"
        assert answer.document["schemaVersion"] == 1
        printed.setdefault(command, set()).update(answer.document)
    printed["import"] -= printed["verify"]
    assert printed == listed
    assert printed.keys() == {leaf.name.removeprefix(f"{PROGRAM} ") for leaf in LEAVES} - {"serve"}


def test_an_error_is_one_object_on_the_last_line_of_stderr(tmp_path: Path) -> None:
    answer = run("verify", tmp_path / "nowhere.tar", "--state", tmp_path, "--format", "json")
    assert (answer.code, answer.out) == (5, "")
    assert set(answer.error) == {"error", "code", "reason", "message", "hint"}
    assert answer.error["reason"] == "bundle-not-found"


def test_every_variable_that_is_read_is_documented() -> None:
    page = text_of("scripting.md")
    read = set()
    for path in (REPOSITORY / "airgap").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            read |= set(_variables(node))
    assert {"XDG_STATE_HOME", "DOCKER_CONFIG", "NO_COLOR"} <= read
    missing = {name for name in read if f"`{name.upper()}`" not in page}
    assert missing == set()


def _variables(node: ast.AST) -> Iterator[str]:
    """Yield the names that ``environ["X"]``, ``environment.get("X")`` and the like read."""
    holders = ("environ", "environment")
    value: Any = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(holders):
        value = node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and ast.unparse(node.func.value).endswith(holders)
    ):
        value = node.args[0]
    if isinstance(value, ast.Constant):
        yield str(value.value)


# --- examples -------------------------------------------------------------------------------


def with_examples() -> list[Path]:
    return [page for page in PAGES if read_blocks(page.read_text(encoding="utf-8"))]


def test_some_pages_have_examples_that_run() -> None:
    assert {page.name for page in with_examples()} >= {"README.md", "other-tools.md"}


@pytest.mark.parametrize("page", with_examples(), ids=title)
def test_examples_run_as_they_stand(page: Path, tmp_path: Path) -> None:
    blocks = read_blocks(page.read_text(encoding="utf-8"))
    used = {example.command.split()[0] for block in blocks for example in block.examples}
    for tool in used & {"skopeo", "oras", "crane"}:
        find_tool(tool)
    with open_stage(tmp_path) as stage:
        for block in blocks:
            stage.run(block)


def test_an_example_that_goes_wrong_is_told(tmp_path: Path) -> None:
    stage = Stage(
        folder=tmp_path, environment={"PATH": "/usr/bin:/bin"}, source="s:1", target="t:2"
    )
    text = "<!-- run -->\n```console\n$ echo Done and \\\n    said\nDone so\n(exit 0)\n```\n"
    (good,) = read_blocks(text)
    assert good.examples == (Example(command="echo Done and     said", words=("Done",), code=0),)
    stage.run(good)
    for bad in (text.replace("(exit 0)", "(exit 4)"), text.replace("Done so", "Nothing")):
        with pytest.raises(AssertionError, match="Done and said"):
            stage.run(read_blocks(bad)[0])


def test_only_what_cannot_be_the_same_twice_is_put_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stage = Stage(
        folder=tmp_path, environment={}, source="127.0.0.1:1", target="127.0.0.1:2",
        fingerprint="0" * 4 + "-0000" * 6, codes={"1": "1:AAAA-AAAA"},
    )  # fmt: skip
    command = (
        f"x {SOURCE}/a:1 docker://{SOURCE}/a {TARGET}/mirror/{SOURCE}/a --bootstrap 1:8FQ2-T6MD"
    )
    assert stage._fit(command) == (
        "x 127.0.0.1:1/a:1 docker://127.0.0.1:1/a 127.0.0.1:2/mirror/127.0.0.1__1/a "
        "--bootstrap 1:AAAA-AAAA"
    )


def test_the_error_that_scripting_shows_is_what_is_printed(tmp_path: Path) -> None:
    shown = re.search(r'^(\{"code".*\})$', text_of("scripting.md"), re.MULTILINE)
    assert shown is not None
    document = json.loads(shown[1])
    answer = run("verify", "nowhere.tar", "--state", tmp_path, "--format", "json")
    assert answer.error | {"hint": "…"} == document
