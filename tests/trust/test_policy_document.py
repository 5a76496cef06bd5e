"""The bytes of policy files: what is read, what is refused, and that the schema says the same."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from airgap.errors import UsageError
from airgap.oci.digest import Digest
from airgap.trust.expiry import Mode, Rule
from airgap.trust.policy import Bootstrap, Gap, Level, PolicyFile, ReadBack, Setting
from airgap.trust.policy_document import LATER_ROLES, decode_policy
from tests.conftest import REPOSITORY

DAY = timedelta(days=1)
CAP = 365 * DAY
SCHEMA = Draft202012Validator(json.loads((REPOSITORY / "schemas/policy.schema.json").read_bytes()))
WHOLE = """\
version: 1
level: strict
site: site-17

expiry:
  roles:
    tuf.timestamp:   {mode: grace, grace: 30d, max: 120d}
    tuf.snapshot:
      mode: enforce
      max: 12h
    tuf.root: {mode: off}
clock: {source: system, skew: 90s}
sequence: {allow-gap: none, bootstrap: accept}
load:
  on-reject: stop
  read-back: always
"""


def refusal(text: str, file: str = "policy.yaml") -> UsageError:
    with pytest.raises(UsageError) as caught:
        decode_policy(text.encode(), file)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(file)
    return caught.value


def test_every_field_is_read_with_its_line() -> None:
    assert decode_policy(WHOLE.encode(), "policy.yaml") == PolicyFile(
        name="policy.yaml",
        digest=Digest.of(WHOLE.encode()),
        level=Setting(Level.STRICT, "policy.yaml line 2"),
        site="site-17",
        rules={
            "tuf.timestamp": Rule(
                mode=Mode.GRACE,
                grace=30 * DAY,
                cap=CAP,
                most=120 * DAY,
                origin="policy.yaml line 7",
            ),
            "tuf.snapshot": Rule(
                mode=Mode.ENFORCE,
                grace=0 * DAY,
                cap=CAP,
                most=DAY / 2,
                origin="policy.yaml line 8",
            ),
            "tuf.root": Rule(
                mode=Mode.OFF, grace=CAP, cap=CAP, most=CAP, origin="policy.yaml line 11"
            ),
        },
        skew=Setting(timedelta(seconds=90), "policy.yaml line 12"),
        allow_gap=Setting(Gap.NONE, "policy.yaml line 13"),
        bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 13"),
        read_back=Setting(ReadBack.ALWAYS, "policy.yaml line 16"),
    )


def test_a_file_says_only_what_it_says() -> None:
    assert decode_policy(b"version: 1", "p") == PolicyFile(
        name="p", digest=Digest.of(b"version: 1")
    )


def test_json_is_read_with_its_lines_and_its_tabs() -> None:
    text = '{\n\t"version": 1,\n\t"site": "a",\n\t"level":\t"audit"\n}'
    found = decode_policy(text.encode(), "policy.json")
    assert (found.site, found.level) == ("a", Setting(Level.AUDIT, "policy.json line 4"))


@pytest.mark.parametrize(
    ("entry", "own", "most"),
    [
        ("{mode: grace}", 120, 120),
        ("{mode: grace, grace: 5d}", 5, 5),
        ("{mode: grace, max: 200d}", 120, 200),
        ("{mode: enforce}", 0, 0),
        ("{mode: warn}", 365, 365),
        ("{mode: grace, grace: 0d, max: 365d}", 0, 365),
    ],
)
def test_max_is_the_grace_unless_it_is_said(entry: str, own: int, most: int) -> None:
    text = f"version: 1\nexpiry: {{roles: {{tuf.timestamp: {entry}}}}}"
    rule = decode_policy(text.encode(), "policy.yaml").rules["tuf.timestamp"]
    assert (rule.grace.days, rule.most.days) == (own, most)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "policy.yaml is empty"),
        ("# nothing\n", None, "policy.yaml is empty"),
        ("level: strict", 1, "`version: 1` is missing"),
        ("version: 2", 1, "version is not 1"),
        ("version: '1'", 1, "version is not 1"),
        ("version: true", 1, "version is not 1"),
        ("- version", 1, "expected a mapping in the policy, got a list"),
        ("version", 1, "expected a mapping in the policy, got text"),
        ("version: 1\n\nrulez: []", 3, "unknown field 'rulez'"),
        ("version: 1\nexpiry:\n  role: {}", 3, "unknown field 'expiry.role'"),
        ("version: 1\nversion: 1", 2, "'version' stands there twice"),
        ("version: 1\n1: 2", 2, "a key that is no text"),
        ("version: 1\n<<: {}", 2, "a key that is no text"),
        ("version: 1\n? [a]\n: b", 2, "a key that is no text"),
        ("version: 1\nlevel: laxer", 2, "level is 'laxer', not strict | balanced | audit"),
        ("version: 1\nlevel: 1", 2, "expected text in level, got a number"),
        ("version: 1\nlevel: yes", 2, "level is 'yes', not"),
        ("version: 1\nlevel: null", 2, "expected text in level, got something else"),
        ("version: 1\nsite: Site 17", 2, "site is not a name such as site-17"),
        ("version: 1\nexpiry:", 2, "expected a mapping in expiry, got something else"),
        ("version: 1\nexpiry: {roles: []}", 2, "expected a mapping in expiry.roles, got a list"),
        ("version: 1\nexpiry:\n roles:\n  tuf.rooot: {}", 4, "'tuf.rooot' is no role that expires"),
        ("version: 1\nexpiry:\n roles:\n  tuf.root: {}", 4, "expiry.roles.tuf.root has no mode"),
        ("version: 1\nexpiry:\n roles:\n  tuf.root: {mode: on}", 4, "mode is 'on', not enforce |"),
        (
            "version: 1\nexpiry:\n roles:\n  tuf.root:\n   mode: enforce\n   grace: 1d",
            6,
            "a grace has no meaning in mode enforce",
        ),
        (
            "version: 1\nexpiry:\n roles:\n  tuf.root:\n   mode: warn\n   max: 1d",
            6,
            "a max has no meaning in mode warn",
        ),
        (
            "version: 1\nexpiry:\n roles:\n  tuf.root:\n   mode: grace\n   grace: 30",
            6,
            "expected text in expiry.roles.tuf.root.grace, got a number",
        ),
        (
            "version: 1\nexpiry:\n roles:\n  tuf.root:\n   mode: grace\n   grace: 1w",
            6,
            "grace is '1w', no duration such as 30d, 12h or 5m",
        ),
        ("version: 1\nclock: {source: gps}", 2, "clock.source is 'gps', not system | file"),
        ("version: 1\nload: {read-back: no}", 2, "load.read-back is 'no', not manifests | new"),
    ],
)
def test_what_is_not_known_is_named_with_its_line(
    text: str, line: int | None, message: str
) -> None:
    error = refusal(text)
    assert error.reason == "policy-invalid"
    assert message in error.message
    assert line is None or f"policy.yaml line {line}: " in error.message


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1,\n", 2), ("a: b\n c: d", 2), ("a: 1\n---\nb: 2", 2), ("\t", 1), ("a: *b", 1)],
)
def test_what_is_no_yaml_is_refused(text: str, line: int) -> None:
    error = refusal(text)
    assert error.reason == "policy-invalid"
    assert f"policy.yaml line {line} is not YAML 1.2: " in error.message


@pytest.mark.parametrize("data", [b"\xff", b"[" * 5000, b"a: \x00"])
def test_no_bytes_end_in_anything_but_a_usage_error(data: bytes) -> None:
    with pytest.raises(UsageError, match="is not YAML") as caught:
        decode_policy(data, "policy.yaml")
    assert caught.value.reason == "policy-invalid"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1", "the policy is not JSON"),
        ('{"version": 1, "version": 1}', "duplicate key 'version' in the policy"),
        ('{"version": 1.0}', "the number 1.0 is not allowed in the policy"),
    ],
)
def test_what_is_called_json_is_json(text: str, message: str) -> None:
    error = refusal(text, "policy.json")
    assert (error.reason, error.message) == ("policy-invalid", f"policy.json: {message}")


def test_a_value_that_holds_itself_ends() -> None:
    assert refusal("version: 1\nexpiry: &a {roles: *a}").reason == "policy-invalid"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("rules: []", 2, "rules about the signatures of images"),
        ("clock:\n  source: file", 3, "clock.source 'file'"),
        ("load:\n  on-reject: quarantine", 3, "load.on-reject 'quarantine'"),
        ("sequence:\n  floor: {prod: 7}", 3, "a floor of a stream"),
        ("expiry:\n  roles:\n    notation.expiry: {mode: enforce}", 4, "'notation.expiry'"),
        ("expiry:\n  roles:\n    attestation:https://x/y: {}", 4, "'attestation:https://x/y'"),
    ],
)
def test_what_this_release_cannot_judge_is_refused_by_name(text: str, line: int, what: str) -> None:
    error = refusal(f"version: 1\n{text}")
    assert error.reason == "not-supported-yet"
    assert error.message.startswith(f"policy.yaml line {line}: ")
    assert what in error.message
    assert "ignored" in error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "expiry: {roles: {tuf.root: {mode: grace, grace: 30d, max: 29d}}}",
            "grace, 30d, is more than max, 29d",
        ),
        (
            "expiry: {roles: {tuf.root: {mode: grace, grace: 366d}}}",
            "grace is 366d; more than 365d is never tolerated",
        ),
        (
            "expiry: {roles: {tuf.root: {mode: enforce, max: 8761h}}}",
            "max is 8761h; more than 365d is never tolerated",
        ),
        ("clock: {skew: 86401s}", "clock.skew is 86401s; beyond 1d no clock would ever be wrong"),
    ],
)
def test_durations_that_contradict_each_other_are_refused(text: str, message: str) -> None:
    error = refusal(f"version: 1\n{text}")
    assert error.reason == "policy-contradictory"
    assert "line 2" in error.message
    assert message in error.message


# --- schema and decoder ---------------------------------------------------------------------


def answer(document: object) -> str:
    """Return what the decoder says of a document: the reason code, or nothing."""
    try:
        decode_policy(json.dumps(document).encode(), "policy.json")
    except UsageError as error:
        return error.reason
    return ""


def agree(document: object) -> bool:
    said = answer(document)
    if SCHEMA.is_valid(document):
        return said in {"", "not-supported-yet", "policy-contradictory"}
    return said in {"policy-invalid", "policy-contradictory"}


def test_schema_and_decoder_agree_on_the_whole_file() -> None:
    SCHEMA.check_schema(SCHEMA.schema)
    document = YAML(typ="safe", pure=True).load(WHOLE)
    SCHEMA.validate(document)
    assert answer(document) == ""


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, 2, "", "1", [], {}, "off", "5m", "30d", "30d\n", "1w", "01d", "999999d",
     "1234567d", "file", "quarantine", "grace", {"mode": "grace"}, {"mode": "off", "max": "1d"}]
)  # fmt: skip
DURATION = st.sampled_from(["0d", "1s", "5m", "12h", "30d", "120d", "365d", "366d"])
ROLE = st.sampled_from(
    ["tuf.root", "tuf.timestamp", "tuf.delegation:a", "tuf.delegation:", "dct.root", "x509.leaf",
     "x509.other", "notation.expiry", "notation.expiry\n", "clock", "trust-root", "tuf", "bundle"]
)  # fmt: skip
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "mode": st.sampled_from(list(map(str, Mode))),
    "grace": DURATION,
    "max": DURATION,
    "other": ODD,
}


def mixed(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return mappings of these fields, some left out, now and then something odd in their place."""
    return st.fixed_dictionaries({}, optional={name: one | ODD for name, one in fields.items()})


POLICIES = mixed(
    version=st.just(1),
    level=st.sampled_from(list(map(str, Level))),
    site=st.sampled_from(["site-17", "Site", "a" * 63, "a" * 64, "-a", "a\n"]),
    rules=ODD,
    expiry=mixed(roles=st.dictionaries(ROLE, mixed(**FIELDS), max_size=3), other=ODD),
    clock=mixed(source=st.sampled_from(["system", "file"]), skew=DURATION),
    sequence=st.fixed_dictionaries(
        {}, optional={"allow-gap": st.sampled_from(["healed", "none"]) | ODD, "floor": ODD}
    ),
    load=st.fixed_dictionaries(
        {},
        optional={
            "on-reject": st.sampled_from(["stop", "quarantine"]),
            "read-back": st.sampled_from(["manifests", "new", "always"]) | ODD,
        },
    ),
)


@settings(max_examples=500)
@given(POLICIES | ODD)
def test_schema_and_decoder_agree(document: object) -> None:
    assert agree(document), (document, answer(document))


@settings(max_examples=200)
@given(
    POLICIES.map(
        lambda document: {**document, "version": 1} if isinstance(document, dict) else document
    )
)
def test_schema_and_decoder_agree_where_the_version_is_right(document: object) -> None:
    assert agree(document), (document, answer(document))


def test_the_roles_that_come_later_are_those_of_the_schema() -> None:
    schema: dict[str, Any] = json.loads((REPOSITORY / "schemas/policy.schema.json").read_bytes())
    roles = schema["properties"]["expiry"]["properties"]["roles"]
    (pattern,) = roles["patternProperties"]
    assert pattern == f"^({LATER_ROLES.pattern})(?!\\n)$"
