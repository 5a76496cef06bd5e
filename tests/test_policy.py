"""Which policy is in force at a site, what `policy check` says, and what a policy changes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from airgap.errors import UsageError
from airgap.ledger.ledger import Ledger
from airgap.ledger.records import Decision
from airgap.loading import load
from airgap.site import SYSTEM_POLICY, Site
from airgap.trust.policy import BUILT_IN_POLICY, Bootstrap, Gap
from tests.conftest import REPOSITORY
from tests.freight import Freight, write_layout
from tests.journey import Journey, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journey import Answer

LEDGER_SCHEMA = Draft202012Validator(
    json.loads((REPOSITORY / "schemas/ledger-record.schema.json").read_bytes())
)
WHOLE = """\
version: 1
level: strict
site: site-17
expiry:
  roles:
    tuf.timestamp:   {mode: grace, grace: 30d, max: 120d}
    tuf.root: {mode: warn}
clock: {source: system, skew: 90s}
sequence: {allow-gap: none, bootstrap: accept}
load: {on-reject: stop, read-back: new}
"""
IN_WORDS = """\
tuf.root: overdue by at most 365d is a warning, and nobody goes further   (policy.yaml line 7)
tuf.targets: expired fails, and nobody goes further   (policy.yaml line 2)
tuf.snapshot: expired fails, and nobody goes further   (policy.yaml line 2)
tuf.timestamp: overdue by at most 30d is tolerated, and up to 120d with --expiry-tolerance   \
(policy.yaml line 6)
clock: the system's; 90s apart is no fault   (policy.yaml line 8)
sequence: no gap is passed without a person (import --accept-gap)   (policy.yaml line 9)
sequence: the first bundle of a stream is taken without a code, on the record   \
(policy.yaml line 9)
load: the first failure stops it   (the built-in default)
load: manifests and every blob are read back   (policy.yaml line 10)
images: who must have signed what is not asked   (the built-in default)
"""


def refusal(site: Site, further: Path | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        site.read_policy(further)
    return caught.value


# --- which one is in force ------------------------------------------------------------------


def test_without_a_file_the_built_in_policy_is_in_force(tmp_path: Path) -> None:
    assert Site(state=tmp_path).system_policy == SYSTEM_POLICY
    site = Site(state=tmp_path / "nowhere", system_policy=tmp_path / "none.yaml")
    assert site.read_policy() is BUILT_IN_POLICY
    (tmp_path / "file").touch()
    below = Site(state=tmp_path / "file", system_policy=tmp_path / "file" / "policy.yaml")
    assert below.read_policy() is BUILT_IN_POLICY


def test_that_of_the_machine_stands_before_that_of_the_state(tmp_path: Path) -> None:
    site = Site(state=tmp_path / "state", system_policy=tmp_path / "etc.yaml")
    site.state.mkdir()
    (site.state / "policy.yaml").write_text("version: 1\nsite: of-the-state\n")
    assert site.read_policy().site == "of-the-state"
    site.system_policy.write_text("version: 1\nsite: of-the-machine\n")
    assert site.read_policy().site == "of-the-machine"
    # The other one is not in force, so what it says does not matter.
    (site.state / "policy.yaml").write_text("nonsense")
    assert site.read_policy().site == "of-the-machine"


def test_a_further_file_is_named_as_such_and_only_takes_away(tmp_path: Path) -> None:
    site = Site(state=tmp_path, system_policy=tmp_path / "none.yaml")
    (tmp_path / "policy.yaml").write_text(WHOLE)
    further = tmp_path / "more.yaml"
    further.write_text(
        "version: 1\nsequence: {bootstrap: ask, allow-gap: healed}\n"
        "expiry: {roles: {tuf.timestamp: {mode: grace, grace: 60d, max: 90d}}}\n"
    )
    policy = site.read_policy(further)
    assert [file.name for file in policy.files] == ["policy.yaml", f"--policy {further}"]
    rule = policy.rules["tuf.timestamp"]
    assert (rule.grace.days, rule.reach.days) == (30, 90)
    assert rule.origin == f"policy.yaml line 6 and --policy {further} line 3"
    assert (policy.allow_gap.value, policy.bootstrap.value) == (Gap.NONE, Bootstrap.ACCEPT)


def test_what_is_there_and_cannot_be_read_is_never_ignored(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    link = tmp_path / "etc.yaml"
    link.symlink_to(tmp_path / "gone.yaml")
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    for path in (link, folder, tmp_path / ("x" * 300)):
        error = refusal(Site(state=state, system_policy=path))
        assert error.reason == "policy-unreadable"
        assert str(path) in error.message
    error = refusal(Site(state=state, system_policy=tmp_path / "none"), tmp_path / "none.yaml")
    assert (error.reason, error.exit_code) == ("policy-unreadable", 2)


def test_errors_name_the_whole_path_and_a_policy_is_bounded(tmp_path: Path) -> None:
    site = Site(state=tmp_path, system_policy=tmp_path / "etc.yaml")
    site.system_policy.write_text("version: 1\nrulez: []\n")
    assert refusal(site).message == f"{site.system_policy} line 2: unknown field 'rulez'"
    site.system_policy.write_text("version: 1\n" + "#" * (1 << 20))
    assert "is larger than 1048576 bytes" in refusal(site).message


# --- policy check ---------------------------------------------------------------------------


def test_a_policy_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(WHOLE)
    answer = run("policy", "check", path)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == f"{path}   this release judges all of it   site site-17"
    assert [line.strip() for line in answer.out.splitlines()[1:]] == IN_WORDS.splitlines()


def test_a_policy_is_said_to_programs(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"version": 1}')
    document = run("policy", "check", path, "--format", "json").document
    assert document["schemaVersion"] == 1
    assert document["file"] == str(path)
    assert [file["name"] for file in document["policy"]["files"]] == ["policy.json"]
    assert document["expiry"]["tuf.timestamp"] == {
        "mode": "grace",
        "graceSeconds": 120 * 86400,
        "maxSeconds": 120 * 86400,
        "capSeconds": 365 * 86400,
        "origin": "policy.json, by default,",
    }
    assert document["clock"] == {"source": "system", "skewSeconds": 300}
    assert document["sequence"] == {"allowGap": "healed", "bootstrap": "ask"}
    assert document["load"] == {"onReject": "stop", "readBack": "manifests"}
    assert document["rules"] is None
    assert "site" not in run("policy", "check", path).out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: 1\nrules: []", "not-supported-yet"),
        ("version: 1\nload: {on-reject: quarantine}", "not-supported-yet"),
        ("version: 1\nsurprise: 1", "policy-invalid"),
        ("version: 1\nclock: {skew: 2d}", "policy-contradictory"),
    ],
)
def test_a_policy_that_is_refused_is_exit_2(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    answer = run("policy", "check", path, "--format", "json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.error["reason"] == reason
    assert f"{path} line 2: " in answer.error["message"]
    assert run("policy", "check", tmp_path / "none").code == 2


# --- what it changes ------------------------------------------------------------------------


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey.begin(tmp_path)


def layouts(journey: Journey, *seeds: str) -> list[str]:
    return [
        write_layout(journey.folder / f"layout-{seed}", Freight.make(seed), f"r.example/{seed}")
        for seed in seeds
    ]


def govern(journey: Journey, text: str) -> None:
    (journey.state / "policy.yaml").write_text(f"version: 1\n{text}\n")


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    return {finding["reason"]: finding for finding in answer.document["findings"]}


def test_a_gap_is_gone_past_on_the_record(journey: Journey) -> None:
    a, b = layouts(journey, "a", "b")
    one, _, three = journey.export(a), journey.export(b), journey.export(a)
    assert journey.load(one, "--bootstrap", journey.codes[1]).code == 0
    refused = journey.load(three)
    assert (refused.code, refused.reasons) == (7, {"gap"})
    assert "airgap import --accept-gap" in findings(refused)["gap"]["hint"]
    # `verify` says what an import by itself would say.
    assert journey.verify(three).code == 7
    gone = journey.load(three, "--accept-gap")
    assert gone.code == 0
    said = findings(gone)["gap-accepted"]
    assert (said["outcome"], said["onRecord"]) == ("tolerated", True)

    receipt = json.loads((journey.state / "receipts" / "prod-3.json").read_text())
    assert said in receipt["findings"]
    commit = Ledger(journey.state).history().commits[-1]
    assert commit.decisions == (Decision(reason="gap-accepted", sentence=said["sentence"]),)
    for entry in Ledger(journey.state).log.read():
        LEDGER_SCHEMA.validate(dict(entry.record))
    shown = run("log", "show", "--state", journey.state)
    assert f"  on the record: gap-accepted   {said['sentence']}\n" in shown.out
    assert (
        "on the record" not in run("log", "show", "--state", journey.state).out.split("number 3")[0]
    )


def test_a_site_that_allows_no_gap_refuses_one_that_heals(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    one, _, three = journey.export(a), journey.export(a), journey.export(a)
    assert journey.load(one, "--bootstrap", journey.codes[1]).code == 0
    assert "gap-healed" in findings(journey.verify(three))
    govern(journey, "sequence: {allow-gap: none}")
    refused = journey.load(three)
    assert (refused.code, refused.reasons) == (7, {"gap"})
    assert "policy.yaml line 2 allows no gap" in findings(refused)["gap"]["sentence"]
    assert journey.load(three, "--accept-gap").code == 0


def test_a_further_policy_refuses_a_gap_too(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    one, _, three = journey.export(a), journey.export(a), journey.export(a)
    assert journey.load(one, "--bootstrap", journey.codes[1]).code == 0
    further = journey.folder / "more.yaml"
    further.write_text("version: 1\nsequence: {allow-gap: none, bootstrap: accept}\n")
    for answer in (
        journey.verify(three, "--policy", further),
        journey.load(three, "--policy", further),
    ):
        assert (answer.code, answer.reasons) == (7, {"gap"})
        (file,) = answer.document["policy"]["files"]
        assert file["name"] == f"--policy {further}"


def test_a_site_waives_the_code_on_the_record(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    one, two = journey.export(a), journey.export(a)
    further = journey.folder / "more.yaml"
    further.write_text("version: 1\nsequence: {bootstrap: accept}\n")
    assert journey.load(two, "--policy", further).reasons == {"bootstrap-needed"}
    govern(journey, "site: site-17\nsequence: {bootstrap: accept}")
    loaded = journey.load(two)
    assert loaded.code == 0
    assert findings(loaded)["bootstrap-waived"]["onRecord"] is True
    assert loaded.document["policy"]["site"] == "site-17"
    receipt = json.loads((journey.state / "receipts" / "prod-2.json").read_text())
    assert receipt["policy"] == loaded.document["policy"]
    commit = Ledger(journey.state).history().commits[-1]
    assert "policy.yaml line 3" in commit.freshness
    assert [decision.reason for decision in commit.decisions] == ["bootstrap-waived"]
    # The destination remembers, so a lost ledger does not open the door to an old bundle.
    (journey.state / "ledger.log").unlink()
    old = journey.load(one)
    assert (old.code, old.reasons) == (7, {"replay"})


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(None, "existing"), ("manifests", "existing"), ("new", "always"), ("always", "always")],
)
def test_the_policy_says_what_is_read_back(
    journey: Journey, monkeypatch: pytest.MonkeyPatch, setting: str | None, expected: str
) -> None:
    (a,) = layouts(journey, "a")
    bundle = journey.export(a)
    if setting is not None:
        govern(journey, f"load: {{read-back: {setting}}}")
    seen = []

    def watched(*arguments: object, **options: object) -> object:
        seen.append(options["read_back"])
        return load(*arguments, **options)  # type: ignore[arg-type]  # whatever load takes

    monkeypatch.setattr("airgap.importer.load", watched)
    assert journey.load(bundle, "--bootstrap", journey.codes[1]).code == 0
    assert seen == [expected]


def test_an_unattended_import_is_told_what_is_not_checked(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    bundle = journey.export(a)
    code = ("--bootstrap", journey.codes[1])
    warned = journey.load(bundle, *code, "--dry-run")
    assert warned.err == ("airgap: warning: no policy: who must have signed what is not checked\n")
    assert findings(warned)["no-policy"]["outcome"] == "not asked"
    govern(journey, "level: balanced")
    warned = journey.load(bundle, *code, "--dry-run")
    assert "policy.yaml has no rules: who must have signed what is not checked" in warned.err
    assert findings(warned)["no-rules"]["outcome"] == "not asked"
    assert journey.verify(bundle, *code).err == ""


def test_a_person_at_a_terminal_reads_it_in_the_verdict(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    bundle = journey.export(a)
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "airgap", "import", bundle, "--state", journey.state,
             "--bootstrap", journey.codes[1], "--dry-run"],
            stdin=theirs, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert "warning" not in done.stderr
    assert "not asked" in done.stdout


# --- log verify -----------------------------------------------------------------------------


def test_the_whole_ledger_is_read_again(journey: Journey) -> None:
    state = ("--state", journey.state)
    empty = run("log", "verify", *state, "--format", "json")
    assert (empty.code, empty.document["records"], empty.document["hash"]) == (0, 0, "0" * 64)
    (a,) = layouts(journey, "a")
    assert journey.load(journey.export(a), "--bootstrap", journey.codes[1]).code == 0
    entries = list(Ledger(journey.state).log.read())
    found = run("log", "verify", *state, "--format", "json").document
    assert found == {
        "schemaVersion": 1,
        "records": len(entries),
        "imports": 1,
        "hash": entries[-1].hash,
    }
    text = run("log", "verify", *state).out
    assert text.startswith(f"{len(entries)} records, 1 imports: ")
    assert entries[-1].hash in text
    before = (journey.state / "ledger.log").read_bytes()
    run("log", "verify", *state)
    assert (journey.state / "ledger.log").read_bytes() == before


def test_a_damaged_ledger_is_exit_5(journey: Journey) -> None:
    (a,) = layouts(journey, "a")
    assert journey.load(journey.export(a), "--bootstrap", journey.codes[1]).code == 0
    path = journey.state / "ledger.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    answer = run("log", "verify", "--state", journey.state, "--format", "json")
    assert (answer.code, answer.error["reason"]) == (5, "ledger-damaged")
