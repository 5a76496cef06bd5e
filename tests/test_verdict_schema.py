"""The verdict that commands print is as schemas/verdict.schema.json says, whatever it is."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from airgap.errors import AirgapError
from airgap.trust.verdict import Check, Outcome
from tests.conftest import REPOSITORY
from tests.journey import Journey, flip, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journey import Answer

SCHEMAS = sorted((REPOSITORY / "schemas").glob("*.schema.json"))
SCHEMA: dict[str, Any] = json.loads((REPOSITORY / "schemas/verdict.schema.json").read_text())
SAMPLE = f"oci:{REPOSITORY}/samples/hello:registry.example/samples/hello:1.0"


def closed(schema: object) -> object:
    """Return the same schema with nothing allowed but what it describes.

    For readers it is open, since fields may be added; what we print ourselves must all be in it.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {key: closed(item) for key, item in schema.items()}
    if "properties" in shut and shut.get("type") == "object":
        shut.setdefault("additionalProperties", False)
    return shut


def check(document: object, schema: object = SCHEMA) -> None:
    for each in (schema, closed(schema)):
        errors = [error.message for error in Draft202012Validator(each).iter_errors(document)]  # type: ignore[arg-type]  # a schema
        assert errors == []


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


def answers(journey: Journey) -> Iterator[tuple[str, Answer, int]]:
    """Yield what verify and import answer to all kinds of bundles."""
    one, two = journey.export(SAMPLE), journey.export(SAMPLE)
    code = ("--bootstrap", journey.codes[1])
    yield "no code", journey.verify(one), 7
    yield "verified", journey.verify(one, *code), 0
    yield "dry run", journey.load(one, *code, "--dry-run"), 0
    yield "imported", journey.load(one, *code), 0
    yield "already current", journey.load(one), 0
    yield "repaired", journey.load(one, "--repair"), 0
    yield "the next", journey.load(two), 0
    yield "replay", journey.load(one), 7
    damaged = journey.folder / "damaged.tar"
    shutil.copy(two, damaged)
    flip(damaged, damaged.stat().st_size - 1600)
    yield "damaged", journey.verify(damaged), 4
    shutil.copy(two, damaged)
    flip(damaged, 700)
    yield "not a bundle", journey.load(damaged), 4
    unpinned = run("verify", two, "--state", journey.folder / "nowhere", "--format", "json")
    yield "not pinned", unpinned, 6


def test_every_answer_about_a_bundle_is_as_the_schema_says(journey: Journey) -> None:
    for what, answer, code in answers(journey):
        assert answer.code == code, what
        assert answer.document["exitCode"] == code, what
        check(answer.document)


def test_a_name_outside_of_the_authority_is_rejected(tmp_path: Path) -> None:
    journey = Journey.begin(tmp_path, pin=False)
    pinned = run(
        "trust", "pin", journey.authority / "root.json", "--fingerprint", journey.fingerprint,
        "--names", "registry.example/other/**", "--state", journey.state,
    )  # fmt: skip
    assert pinned.code == 0, pinned.err
    bundle = journey.export(SAMPLE)
    refused = journey.load(bundle, "--bootstrap", journey.codes[1])
    assert (refused.code, refused.reasons) == (3, {"name-outside-authority"})
    assert not (journey.state / "store").exists()
    check(refused.document)


def test_a_receipt_is_the_verdict_with_what_was_loaded(journey: Journey) -> None:
    bundle = journey.export(SAMPLE)
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0
    check(json.loads((journey.state / "receipts" / "prod-1.json").read_text()))


def test_the_schema_knows_every_check_and_outcome() -> None:
    finding = SCHEMA["$defs"]["finding"]["properties"]
    assert SCHEMA["$defs"]["check"]["enum"] == [str(check) for check in Check]
    assert finding["outcome"]["enum"] == [str(outcome) for outcome in Outcome]
    codes = {kind.exit_code for kind in AirgapError.__subclasses__()}
    assert set(SCHEMA["properties"]["exitCode"]["enum"]) - {0} <= codes


@pytest.mark.parametrize("fault", ["result", "inventory", "findings", "exitCode"])
def test_what_is_no_verdict_is_told(journey: Journey, fault: str) -> None:
    bundle = journey.export(SAMPLE)
    document = journey.verify(bundle, "--bootstrap", journey.codes[1]).document
    document[fault] = {"result": "maybe", "inventory": None, "findings": [], "exitCode": 7}[fault]
    assert list(Draft202012Validator(SCHEMA).iter_errors(document))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_schemas_are_json_schema_2020_12(path: Path) -> None:
    schema = json.loads(path.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert schema["title"]
