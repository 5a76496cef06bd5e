"""Bundles that an authority signs, and sites believe."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap.authority import Authority, Statement
from airgap.authority_keys import SCHEMES, generate_key, write_key
from airgap.errors import AirgapError, StoreError, UsageError
from airgap.ledger.pins import read_root_1
from airgap.oci.digest import Digest
from airgap.trust.profile import authenticate
from airgap.trust.release import Claim
from tests.simulators.authority import DAY, NOW, olpc

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.trust.envelope import Envelopes
    from airgap.trust.release import Release


FILES = {"inventory.json": b"{}", "evidence.jsonl": b"{}\n"}


SECRET = b"correct horse"


def create(folder: Path, scheme: str = "ed25519", passphrase: bytes | None = None) -> Authority:
    return Authority.create(folder, "acme", now=NOW, scheme=scheme, passphrase=passphrase)


def refused(reason: str, kind: type[AirgapError] = UsageError) -> pytest.RaisesExc[AirgapError]:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def believed(authority: Authority, envelopes: Envelopes, number: int = 1) -> Release:
    """Judge as a site would that pinned root.json."""
    pin = read_root_1((authority.path / "root.json").read_bytes())
    return authenticate(
        envelopes,
        FILES,
        anchor=pin.anchor(),
        claim=Claim(authority=authority.authority, stream="prod", sequence=number),
    )


class TestSigning:
    @pytest.mark.parametrize("scheme", SCHEMES)
    @pytest.mark.parametrize("passphrase", [None, SECRET])
    def test_sites_believe_it(self, tmp_path: Path, scheme: str, passphrase: bytes | None) -> None:
        authority = create(tmp_path / "acme", scheme, passphrase)
        asked = []

        def ask() -> bytes:
            asked.append(1)
            return SECRET

        with authority.edition("prod") as edition:
            draft = edition.prepare(FILES, Statement(), now=NOW)
            envelopes = draft.sign(ask)
            edition.finish(now=NOW)
        assert believed(authority, envelopes).signatures == "1 of 1"
        assert len(asked) == (0 if passphrase is None else 1)
        padded = draft.padded()
        assert padded.roots == envelopes.roots
        for role in ("targets", "snapshot", "timestamp"):
            spare = len(getattr(padded, role)) - len(getattr(envelopes, role))
            assert 0 <= spare <= (20 if scheme.startswith("ecdsa") else 0)
        signed = json.loads(envelopes.targets)["signed"]
        assert draft.signed_digest == Digest.of(olpc(signed))

    def test_no_signature_is_longer_than_its_place(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme", "ecdsa-p256")
        with authority.edition("prod") as edition:
            draft = edition.prepare(FILES, Statement(), now=NOW)
            longest = len(draft.padded().timestamp)
            lengths = {len(draft.sign().timestamp) for _ in range(60)}
        assert max(lengths) <= longest

    def test_same_inputs_same_bytes(self, tmp_path: Path) -> None:
        create(tmp_path / "acme")
        shutil.copytree(tmp_path / "acme", tmp_path / "copy")
        made = []
        for name in ("acme", "copy"):
            with Authority.open(tmp_path / name).edition("prod") as edition:
                made.append(edition.prepare(FILES, Statement(), now=NOW).sign())
        assert made[0] == made[1]

    def test_a_wrong_passphrase_burns_no_number(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme", passphrase=SECRET)
        with authority.edition("prod") as edition:
            draft = edition.prepare(FILES, Statement(), now=NOW)
            with refused("passphrase-wrong"):
                draft.sign(lambda: b"wrong")
            with refused("passphrase-needed"):
                draft.sign()
            with refused("passphrase-needed"):
                draft.sign(lambda: b"")
        with authority.edition("prod") as edition:
            assert (edition.number, edition.skips) == (1, ())

    def test_a_key_that_is_not_here(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme")
        bundle_key = authority.path / "keys" / "bundle.pem"
        with authority.edition("prod") as edition:
            draft = edition.prepare(FILES, Statement(), now=NOW)
            bundle_key.rename(tmp_path / "away.pem")
            with refused("key-missing") as caught:
                draft.sign()
            assert str(bundle_key) in str(caught.value)
            (tmp_path / "away.pem").rename(bundle_key)
            (authority.path / "keys" / "root.pem").unlink()
            believed(authority, draft.sign())

    def test_a_key_that_is_another(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme")
        bundle_key = authority.path / "keys" / "bundle.pem"
        with authority.edition("prod") as edition:
            draft = edition.prepare(FILES, Statement(), now=NOW)
            for scheme in ("ed25519", "ecdsa-p256"):
                bundle_key.unlink()
                write_key(bundle_key, generate_key(scheme), None)
                with refused("key-mismatch"):
                    draft.sign()
            bundle_key.write_text("no key")
            with refused("key-invalid"):
                draft.sign()
            bundle_key.unlink()
            bundle_key.mkdir()
            with refused("key-unreadable", StoreError):
                draft.sign()

    def test_a_key_that_cannot_be_written(self, tmp_path: Path) -> None:
        with refused("key-unwritable", StoreError):
            write_key(tmp_path / "none" / "key.pem", generate_key("ed25519"), None)

    def test_nothing_is_made_under_an_expired_root(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme")
        with authority.edition("prod") as edition:
            edition.prepare(FILES, Statement(), now=NOW + 365 * DAY - timedelta(seconds=1))
            with refused("root-expired"):
                edition.prepare(FILES, Statement(), now=NOW + 365 * DAY)
