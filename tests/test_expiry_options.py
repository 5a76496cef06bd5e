"""What a person, a policy and the clock make of a bundle that is overdue; and docs/expiry.md."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap.authority_edition import Lifetimes
from airgap.errors import RejectedError
from airgap.importer import ImportJob, import_bundle
from airgap.ledger.ledger import Ledger
from airgap.site import Site
from airgap.trust.verdict import format_time
from tests.conftest import REPOSITORY
from tests.freight import Freight, write_layout
from tests.journey import Journey, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journey import Answer

DAY = timedelta(days=1)
TICK = timedelta(seconds=1)
NOW = datetime.now(UTC).replace(microsecond=0)
CREATED = NOW - 60 * DAY
END = CREATED + Lifetimes().timestamp
OVERDUE = NOW - END
POLICY = """\
version: 1
expiry:
  roles:
    tuf.timestamp: {mode: grace, grace: 10d, max: 60d}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journey, Path]:
    """Return an authority, and a bundle that it made 60 days ago."""
    journey = Journey.begin(tmp_path_factory.mktemp("old"))
    layout = write_layout(journey.folder / "layout", Freight.make("old"))
    return journey, journey.export(layout, "--created", format_time(CREATED))


@pytest.fixture
def site(made: tuple[Journey, Path], tmp_path: Path) -> Journey:
    """Return a site of its own that has pinned that authority and has a policy."""
    journey, _ = made
    shutil.copytree(journey.state, tmp_path / "state")
    (tmp_path / "state" / "policy.yaml").write_text(POLICY)
    return Journey(folder=tmp_path, codes=dict(journey.codes), fingerprint=journey.fingerprint)


@pytest.fixture
def bundle(made: tuple[Journey, Path]) -> Path:
    return made[1]


def code(site: Journey) -> tuple[str, str]:
    return ("--bootstrap", site.codes[1])


def about(answer: Answer, role: str = "tuf.timestamp") -> dict[str, Any]:
    """Return the finding about one role."""
    (found,) = (f for f in answer.document["findings"] if f["subject"] == role)
    return dict(found)


def refused(answer: Answer, reason: str) -> str:
    assert (answer.code, answer.out) == (2, "")
    assert answer.error["reason"] == reason
    return str(answer.error["message"])


# --- --expiry-tolerance ---------------------------------------------------------------------


def test_a_refusal_offers_what_a_person_may_say_and_it_works(site: Journey, bundle: Path) -> None:
    answer = site.load(bundle, *code(site))
    assert (answer.code, answer.reasons) == (3, {"expired-beyond-grace"})
    sentence = about(answer)["sentence"]
    assert sentence == (
        f"tuf.timestamp expired {END:%Y-%m-%d}, 30 d ago; policy.yaml line 4 allows 10 d, or up "
        "to 60 d with --expiry-tolerance tuf.timestamp=31d, on the record"
    )
    assert not (site.state / "ledger.log").exists() or not Ledger(site.state).history().commits
    offered = re.findall(r"--expiry-tolerance \S+(?=,)", sentence)[0].split()
    assert site.verify(bundle, *code(site), *offered).code == 0
    loaded = site.load(bundle, *code(site), *offered)
    assert loaded.code == 0
    said = about(loaded)
    assert (said["outcome"], said["reason"]) == ("tolerated", "expired-within-tolerance")
    assert said["onRecord"] is True
    assert "that the operator allowed, on the record (policy.yaml line 4" in said["sentence"]
    assert said["expiry"]["toleranceSeconds"] == 31 * 86400
    assert said["expiry"]["maxSeconds"] == 60 * 86400
    assert said["expiry"]["rule"] == "policy.yaml line 4"
    assert loaded.document["importableUntil"] == format_time(END + 31 * DAY)
    # It is kept: in the receipt, and in the ledger.
    receipt = json.loads((site.state / "receipts" / "prod-1.json").read_text())
    assert said in receipt["findings"]
    (commit,) = Ledger(site.state).history().commits
    assert [(one.reason, one.sentence) for one in commit.decisions] == [
        ("expired-within-tolerance", said["sentence"])
    ]


def test_a_tolerance_for_every_role_reaches_each_to_its_max(site: Journey, bundle: Path) -> None:
    answer = site.verify(bundle, *code(site), "--expiry-tolerance", "300d")
    assert answer.code == 0
    assert about(answer)["expiry"]["toleranceSeconds"] == 60 * 86400
    assert about(answer, "tuf.root")["expiry"]["toleranceSeconds"] == 90 * 86400
    assert about(answer, "tuf.root")["reason"] == "not-expired"
    short = site.verify(bundle, *code(site), "--expiry-tolerance", "29d")
    assert short.code == 3
    assert "allows 10 d, and the operator 29 d, or up to 60 d" in about(short)["sentence"]


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        (
            "tuf.timestamp=61d",
            "tolerance-above-max",
            "policy.yaml line 4 lets nobody go beyond 60d",
        ),
        ("tuf.root=91d", "tolerance-above-max", "policy.yaml, by default, lets nobody go beyond"),
        ("tuf.timestmap=1d", "role-unknown", "is no role that expires"),
        ("a month", "tolerance-invalid", "is no duration"),
    ],
)
def test_what_nobody_may_say_is_exit_2(
    site: Journey, bundle: Path, text: str, reason: str, message: str
) -> None:
    for answer in (
        site.verify(bundle, *code(site), "--expiry-tolerance", text),
        site.load(bundle, *code(site), "--expiry-tolerance", text),
    ):
        assert message in refused(answer, reason)


def test_there_is_no_variable_for_it(site: Journey, bundle: Path) -> None:
    words = {"AIRGAP_EXPIRY_TOLERANCE": "60d", "AIRGAP_ACCEPT_GAP": "1"}
    answer = run(
        "verify", bundle, "--state", site.state, "--format", "json", *code(site), env=words
    )
    assert (answer.code, answer.reasons) == (3, {"expired-beyond-grace"})


def test_without_a_policy_a_person_may_go_to_the_cap(site: Journey, bundle: Path) -> None:
    (site.state / "policy.yaml").unlink()
    answer = site.verify(bundle, *code(site))
    assert about(answer)["reason"] == "expired-within-grace"
    assert about(answer)["expiry"]["maxSeconds"] == 365 * 86400
    late = format_time(END + 200 * DAY)
    word = ("--expiry-tolerance", "tuf.timestamp=201d")
    assert site.verify(bundle, *code(site), "--as-of", late).code == 3
    assert site.verify(bundle, *code(site), "--as-of", late, *word).code == 0
    refused(
        site.verify(bundle, *code(site), "--expiry-tolerance", "tuf.timestamp=366d"),
        "tolerance-above-max",
    )


def test_a_further_policy_takes_away_and_gives_nothing(site: Journey, bundle: Path) -> None:
    further = site.folder / "more.yaml"
    word = ("--expiry-tolerance", "tuf.timestamp=31d")
    further.write_text("version: 1\nlevel: audit\n")
    assert site.verify(bundle, *code(site), "--policy", further).reasons == {"expired-beyond-grace"}
    further.write_text("version: 1\nlevel: strict\n")
    message = refused(
        site.verify(bundle, *code(site), "--policy", further, *word), "tolerance-above-max"
    )
    assert f"--policy {further} line 2 lets nobody go beyond 0d" in message
    answer = site.verify(bundle, *code(site), "--policy", further)
    assert answer.reasons == {"expired"}
    assert f"--policy {further} line 2 tolerates nothing" in about(answer)["sentence"]


def test_little_left_is_said_where_people_read_it(site: Journey, bundle: Path) -> None:
    def text(*words: str) -> str:
        return run("verify", bundle, "--state", site.state, *code(site), *words).out

    assert "Less than a quarter" in text("--expiry-tolerance", "31d")
    assert "Less than a quarter" not in text("--expiry-tolerance", "60d")


# --- the next date --------------------------------------------------------------------------


def test_the_date_that_is_named_is_the_last_on_which_it_imports(
    site: Journey, bundle: Path
) -> None:
    (site.state / "policy.yaml").write_text(POLICY.replace("10d", "40d"))
    answer = site.verify(bundle, *code(site))
    assert answer.document["importableUntil"] == format_time(END + 40 * DAY)
    assert answer.document["importableUntilRole"] == "tuf.timestamp"
    shown = run("verify", bundle, "--state", site.state, *code(site)).out
    assert f"Imports until {END + 40 * DAY:%Y-%m-%d %H:%M} UTC, then: tuf.timestamp" in shown
    last = END + 40 * DAY
    assert site.verify(bundle, *code(site), "--as-of", format_time(last)).code == 0
    after = site.verify(bundle, *code(site), "--as-of", format_time(last + TICK))
    assert (after.code, after.reasons) == (3, {"expired-beyond-grace"})


# --- --as-of --------------------------------------------------------------------------------


def test_an_audit_is_judged_at_its_time_and_says_so(site: Journey, bundle: Path) -> None:
    before = sorted(site.state.rglob("*"))
    answer = site.verify(bundle, *code(site), "--as-of", format_time(CREATED + DAY))
    assert (answer.code, about(answer)["reason"]) == (0, "not-expired")
    assert answer.document["audit"] is True
    assert answer.document["judgedAt"] == format_time(CREATED + DAY)
    early = site.verify(bundle, *code(site), "--as-of", format_time(CREATED - DAY))
    assert (early.code, early.reasons) == (3, {"created-in-future"})
    shown = run("verify", bundle, "--state", site.state, *code(site), "--as-of", "2026-12-01")
    assert "An audit as of 2026-12-01 00:00 UTC: nothing is loaded on it." in shown.out
    assert sorted(site.state.rglob("*")) == before
    assert site.verify(bundle, *code(site)).document["audit"] is False


def test_only_verify_audits(site: Journey, bundle: Path) -> None:
    answer = run("import", bundle, "--state", site.state, *code(site), "--as-of", "2026-12-01")
    assert answer.code == 2
    assert "--as-of" in answer.err
    refused(site.verify(bundle, *code(site), "--as-of", "yesterday"), "time-invalid")


# --- the clock ------------------------------------------------------------------------------


def job(site: Journey, bundle: Path, now: datetime) -> ImportJob:
    here = Site(state=site.state, system_policy=site.folder / "none.yaml")
    return ImportJob(
        path=bundle,
        to="store",
        site=here,
        policy=here.read_policy(),
        code=site.codes[1],
        repair=True,
        now=now,
    )


@pytest.mark.parametrize(("skew", "behind"), [("5m", 5), ("2h", 120), ("0s", 0)])
def test_the_policy_says_how_far_a_clock_may_be_behind(
    site: Journey, bundle: Path, skew: str, behind: int
) -> None:
    policy = POLICY.replace("10d", "60d") + f"clock: {{source: system, skew: {skew}}}\n"
    (site.state / "policy.yaml").write_text(policy)
    import_bundle(job(site, bundle, NOW))
    allowed = timedelta(minutes=behind)
    assert import_bundle(job(site, bundle, NOW - allowed)).verdict.exit_code == 0
    with pytest.raises(RejectedError) as caught:
        import_bundle(job(site, bundle, NOW - allowed - TICK))
    verdict = caught.value.verdict
    assert verdict.exit_code == 7
    assert [finding.reason for finding in verdict.failures] == ["clock-behind-floor"]


def test_a_bundle_from_the_future_is_judged_by_the_same_skew(site: Journey, bundle: Path) -> None:
    early = format_time(CREATED - timedelta(hours=1))
    assert site.verify(bundle, *code(site), "--as-of", early).reasons == {"created-in-future"}
    (site.state / "policy.yaml").write_text(POLICY + "clock: {skew: 60m}\n")
    assert site.verify(bundle, *code(site), "--as-of", early).code == 0
    # A further policy sets no clock, neither laxer nor stricter.
    further = site.folder / "more.yaml"
    further.write_text("version: 1\nclock: {skew: 0s}\n")
    assert site.verify(bundle, *code(site), "--as-of", early, "--policy", further).code == 0


# --- docs/expiry.md -------------------------------------------------------------------------

GRACE = {"tuf.root": 90, "tuf.targets": 90, "tuf.snapshot": 120, "tuf.timestamp": 120}
CAP = 365
ROW = re.compile(r"\| (`tuf\.[^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def rows() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield each role, how overdue it is, and the answer for each mode, as the page has them."""
    page = (REPOSITORY / "docs" / "expiry.md").read_text(encoding="utf-8")
    table = page.partition("<!-- generated: expiry -->")[2].partition("<!-- end: expiry -->")[0]
    for line in table.splitlines():
        if found := ROW.fullmatch(line):
            roles, overdue, *answers = found.groups()
            modes = dict(zip(("enforce", "grace", "warn", "off"), answers, strict=True))
            for role in re.findall(r"`([^`]+)`", roles):
                yield role, overdue, modes


def seconds(overdue: str) -> int:
    """Read "1 s before its end", "0 s, at its end", "90 d", "90 d and 1 s"."""
    days = re.match(r"([0-9]+) d", overdue)
    total = int(days[1]) * 86400 if days else 0
    if "before" in overdue:
        return -1
    return total + (1 if overdue.endswith("and 1 s") else 0)


def answer_of(role: str, mode: str, overdue: int) -> str:
    """Work out the answer from the design's own words."""
    if overdue < 0:
        return "pass: `not-expired`"
    if mode == "enforce":
        return "fail: `expired`"
    if overdue > CAP * 86400:
        return "fail: `expired-beyond-cap`"
    if mode == "grace":
        within = overdue <= GRACE[role] * 86400
        return "tolerated: `expired-within-grace`" if within else "fail: `expired-beyond-grace`"
    return "warn: `expired-warned`" if mode == "warn" else "tolerated: `expired-mode-off`"


def test_the_table_of_the_page_is_what_the_design_says() -> None:
    found = list(rows())
    assert {role for role, _, _ in found} == set(GRACE)
    assert len(found) == 4 * 6
    for role, overdue, modes in found:
        for mode, answer in modes.items():
            assert answer == answer_of(role, mode, seconds(overdue)), (role, overdue, mode)
