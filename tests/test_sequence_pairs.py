"""Every ordered pair out of a chain of 20 bundles, with the ledger kept and with it lost.

The bundles are real: made by the exporter, signed by one authority. Four of their numbers were
abandoned: the export was cut off after the bundle was there and before that was written down, so
the next bundle says that the number never was, and the bundle of it may turn up all the same.
Up to number 10 they name two images, from 11 on one of them, which 11 does not say again: whoever
stands before 10 misses something.

What is expected is worked out here, from those facts alone.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import pytest

from airgap.authority_edition import Edition
from airgap.bundle.reader import open_bundle
from airgap.destination import open_place
from airgap.judgement import Terms, judge_bundle, read_floor
from airgap.ledger.ledger import Ledger
from airgap.progress import Silent
from airgap.site import Site
from airgap.stores import StoreOptions, open_store
from airgap.trust.policy import BUILT_IN_POLICY, Bootstrap, Gap, Policy, Setting
from airgap.trust.verdict import Check
from tests.journey import Journey, must
from tests.stores.samples import make_image, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap.bundle.reader import Bundle
    from airgap.ledger.history import History
    from airgap.verification import Floor, Verification

NUMBERS = range(1, 21)
ABANDONED = frozenset({1, 5, 12, 13})
LAST_WITH_BOTH = 10
NOW = datetime(2026, 11, 23, tzinfo=UTC)
PAIRS = list(product(NUMBERS, NUMBERS))
LAX = replace(BUILT_IN_POLICY, bootstrap=Setting(Bootstrap.ACCEPT, "policy.yaml line 3"))
STRICT = replace(BUILT_IN_POLICY, allow_gap=Setting(Gap.NONE, "policy.yaml line 3"))


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The bundles, open; for each number a site that has imported it and nothing before."""

    bundles: dict[int, Bundle]
    codes: dict[int, str]
    sites: dict[int, Site]
    histories: dict[int, History]
    floors: dict[int, Floor]
    blank: Site

    def kept(self, held: int, arriving: int, policy: Policy, **words: object) -> Verification:
        """Judge at a site that remembers."""
        return self._judge(self.sites[held], self.histories[held], None, arriving, policy, words)

    def lost(self, held: int, arriving: int, policy: Policy, **words: object) -> Verification:
        """Judge at a site whose ledger is gone, by what its destination says that it holds."""
        nothing = Ledger(self.blank.state).history()
        return self._judge(self.blank, nothing, self.floors[held], arriving, policy, words)

    def _judge(
        self,
        site: Site,
        history: History,
        floor: Floor | None,
        arriving: int,
        policy: Policy,
        words: dict[str, object],
    ) -> Verification:
        return judge_bundle(
            self.bundles[arriving],
            site=site,
            terms=Terms(policy=policy, now=NOW, **words),  # type: ignore[arg-type]  # its fields
            history=history,
            floor=floor,
            progress=Silent(),
        )


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    journey = Journey.begin(folder, scheme="ed25519")
    paths = dict(_export(journey))
    blank = Site(state=folder / "blank")
    shutil.copytree(journey.state, blank.state)
    sites = {}
    for number, path in paths.items():
        sites[number] = Site(state=folder / f"site-{number}")
        shutil.copytree(blank.state, sites[number].state)
        must("import", path, "--state", sites[number].state, "--bootstrap", journey.codes[number])
    with opened(paths) as bundles:
        yield Chain(
            bundles=bundles,
            codes=journey.codes,
            sites=sites,
            histories={number: Ledger(site.state).history() for number, site in sites.items()},
            floors={number: _floor(bundles[number], site) for number, site in sites.items()},
            blank=blank,
        )


def _export(journey: Journey) -> Iterator[tuple[int, Path]]:
    layout = journey.folder / "layout"
    store = open_store("oci", str(layout), StoreOptions(side="destination"))
    for name in ("a", "b"):
        put(store.repository(f"r.example/{name}"), make_image(name, layers=1, size=10), "1")
    store.close()
    a, b = (f"oci:{layout}:r.example/{name}:1" for name in ("a", "b"))
    for number in NUMBERS:
        images = [a, b] if number <= LAST_WITH_BOTH else [a]
        with pytest.MonkeyPatch.context() as patch:
            if number in ABANDONED:
                patch.setattr(Edition, "finish", lambda _edition, *, now: None)
            yield number, journey.export(*images, "--created", "2026-11-22T00:00:00Z")


@contextmanager
def opened(paths: dict[int, Path]) -> Iterator[dict[int, Bundle]]:
    bundles = {number: open_bundle(path) for number, path in paths.items()}
    try:
        yield bundles
    finally:
        for bundle in bundles.values():
            bundle.close()


def _floor(bundle: Bundle, site: Site) -> Floor:
    with open_place("store", site, StoreOptions(side="destination")) as place:
        floor = read_floor(bundle, site, place)
    assert floor is not None
    return floor


def expected(held: int, arriving: int) -> str:
    """Return the reason code for a bundle that arrives where `held` was imported last."""
    if arriving <= held:
        return "already-current" if arriving == held else "replay"
    missing = set(range(held + 1, arriving)) - ABANDONED
    if not missing:
        return "next"
    # Who stands before the last bundle with both images was not told all that it said.
    lost_something = held < LAST_WITH_BOTH < arriving
    return "gap" if lost_something else "gap-healed"


def reason(verification: Verification) -> str:
    """Return the reason code of the sequence, or of its failure; check the exit code with it."""
    verdict = verification.verdict
    findings = verdict.of(Check.SEQUENCE)
    failed = [finding for finding in verdict.failures if finding.check is Check.SEQUENCE]
    assert len(verdict.failures) == len(failed)
    assert verdict.exit_code == (7 if failed else 0)
    return (failed or list(findings))[0].reason


def test_the_chain_is_as_it_is_described(chain: Chain) -> None:
    inventories = {number: bundle.inventory for number, bundle in chain.bundles.items()}
    assert list(inventories) == list(NUMBERS)
    for number, inventory in inventories.items():
        finished = [before for before in range(1, number) if before not in ABANDONED]
        assert inventory.sequence == number
        assert inventory.skips == tuple(sorted(n for n in ABANDONED if n < number))
        previous = inventory.previous and inventory.previous.sequence
        assert previous == (finished[-1] if finished else None)
        assert inventory.covers == (LAST_WITH_BOTH if number > LAST_WITH_BOTH else 0)
        assert inventory.base is None
    codes = {expected(*pair) for pair in PAIRS}
    assert codes == {"already-current", "replay", "next", "gap", "gap-healed"}


def test_with_the_ledger_kept_no_pair_goes_back(chain: Chain) -> None:
    wrong = []
    for held, arriving in PAIRS:
        verification = chain.kept(held, arriving, BUILT_IN_POLICY, code=chain.codes[arriving])
        found = reason(verification)
        if found != expected(held, arriving):
            wrong.append((held, arriving, found))
        assert verification.verdict.already_current is (held == arriving)
        assert not verification.verdict.accepted or arriving >= held
    assert wrong == []


def test_with_the_ledger_lost_no_pair_goes_back(chain: Chain) -> None:
    """The code says that this bundle is no old one; the destination may know better."""
    wrong = []
    for held, arriving in PAIRS:
        verification = chain.lost(held, arriving, BUILT_IN_POLICY, code=chain.codes[arriving])
        found = reason(verification)
        if found != ("replay" if arriving < held else "first-bundle"):
            wrong.append((held, arriving, found))
        assert not verification.verdict.accepted or arriving >= held
    assert wrong == []


def test_with_the_ledger_lost_nothing_goes_without_a_code(chain: Chain) -> None:
    for held, arriving in PAIRS:
        found = chain.lost(held, arriving, BUILT_IN_POLICY).verdict
        assert found.exit_code == 7
        assert "bootstrap-needed" in {finding.reason for finding in found.failures}
        other = chain.lost(held, arriving, BUILT_IN_POLICY, code=chain.codes[arriving % 20 + 1])
        assert other.verdict.exit_code == 7
        assert "bootstrap-code-wrong" in {f.reason for f in other.verdict.failures}


def test_a_policy_that_waives_the_code_lowers_no_bar(chain: Chain) -> None:
    for held, arriving in PAIRS:
        lost = reason(chain.lost(held, arriving, LAX))
        assert lost == ("replay" if arriving < held else "bootstrap-waived"), (held, arriving)
        assert reason(chain.kept(held, arriving, LAX)) == expected(held, arriving)


def test_a_person_goes_past_gaps_and_past_nothing_else(chain: Chain) -> None:
    for held, arriving in PAIRS:
        natural = expected(held, arriving)
        found = reason(chain.kept(held, arriving, BUILT_IN_POLICY, accept_gap=True))
        assert found == ("gap-accepted" if natural == "gap" else natural), (held, arriving)
        strict = reason(chain.kept(held, arriving, STRICT))
        assert strict == ("gap" if natural == "gap-healed" else natural), (held, arriving)
        gone = reason(chain.kept(held, arriving, STRICT, accept_gap=True))
        past = natural in {"gap", "gap-healed"}
        assert gone == ("gap-accepted" if past else natural), (held, arriving)
