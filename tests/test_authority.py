"""An authority: its folder, its keys, and bundles that sites believe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from airgap.authority import Authority, Lifetimes, Statement
from airgap.authority_creation import Birth, write_authority
from airgap.errors import AirgapError, StoreError, UsageError
from airgap.ledger.pins import read_root_1
from airgap.trust.profile import authenticate
from airgap.trust.release import Claim
from tests.simulators.authority import DAY, NOW, envelope, fingerprint_of, key, root

if TYPE_CHECKING:
    from airgap.trust.envelope import Envelopes
    from airgap.trust.release import Release


FILES = {"inventory.json": b"{}", "evidence.jsonl": b"{}\n"}


SECRET = b"correct horse"


SCHEMAS = Path(__file__).parents[1] / "schemas"


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


class TestCreation:
    def test_the_folder_is_as_described(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme", passphrase=SECRET)
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
        assert found == [
            "acme",
            "acme/authority.json",
            "acme/keys",
            "acme/keys/bundle.pem",
            "acme/keys/root.pem",
            "acme/metadata",
            "acme/metadata/1.root.json",
            "acme/root.json",
        ]
        for name in ("root.pem", "bundle.pem"):
            path = tmp_path / "acme" / "keys" / name
            assert path.stat().st_mode & 0o777 == 0o600
            assert b"ENCRYPTED" in path.read_bytes()
        assert (tmp_path / "acme").stat().st_mode & 0o777 == 0o700
        assert authority.root_expires == NOW + 365 * DAY
        assert (authority.path / "root.json").read_bytes() == (
            authority.path / "metadata" / "1.root.json"
        ).read_bytes()

    def test_the_fingerprint_is_what_others_compute(self, tmp_path: Path) -> None:
        authority = create(tmp_path / "acme")
        data = (authority.path / "root.json").read_bytes()
        assert authority.fingerprint == fingerprint_of(data)
        pin = read_root_1(data)
        assert (pin.name, pin.authority) == ("acme", authority.authority)

    def test_it_opens_as_it_was_made(self, tmp_path: Path) -> None:
        made = create(tmp_path / "acme")
        opened = Authority.open(tmp_path / "acme")
        assert opened == made
        assert opened.to_json() == {
            "schemaVersion": 1,
            "name": "acme",
            "authority": made.authority,
            "fingerprint": made.fingerprint,
            "root": 1,
            "rootExpires": "2027-11-22T12:00:00Z",
            "keys": {keyid: str(path) for keyid, path in made.keys.items()},
        }
        document = json.loads((tmp_path / "acme" / "authority.json").read_bytes())
        schema = json.loads((SCHEMAS / "authority.schema.json").read_bytes())
        jsonschema.Draft202012Validator(schema).validate(document)

    def test_nothing_is_written_over(self, tmp_path: Path) -> None:
        create(tmp_path / "acme")
        (tmp_path / "file").write_text("x")
        for taken in ("acme", "file"):
            with refused("authority-exists"):
                create(tmp_path / taken)

    def test_an_empty_folder_may_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "acme").mkdir()
        create(tmp_path / "acme")

    def test_the_root_key_may_live_elsewhere(self, tmp_path: Path) -> None:
        media = tmp_path / "media"
        media.mkdir()
        for place, file in (
            (media, media / "root.pem"),
            (tmp_path / "my.pem", tmp_path / "my.pem"),
        ):
            authority = Authority.create(
                tmp_path / file.stem, "acme", now=NOW, passphrase=None, root_key_path=place
            )
            load_pem_private_key(file.read_bytes(), None)
            assert not (authority.path / "keys" / "root.pem").exists()
            assert file in authority.keys.values()

    def test_a_key_is_never_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "root.pem").write_text("precious")
        with refused("key-exists"):
            Authority.create(
                tmp_path / "acme", "acme", now=NOW, passphrase=None, root_key_path=tmp_path
            )
        assert (tmp_path / "root.pem").read_text() == "precious"
        assert [path.name for path in tmp_path.iterdir()] == ["root.pem"]

    def test_a_root_key_without_its_authority_is_not_left(self, tmp_path: Path) -> None:
        # Someone took the name after it was asked for.
        (tmp_path / "acme").mkdir()
        (tmp_path / "acme" / "theirs").write_text("x")
        birth = Birth(
            name="acme",
            now=NOW,
            scheme="ed25519",
            passphrase=None,
            lifetimes=Lifetimes(),
            root_key=tmp_path / "root.pem",
        )
        with pytest.raises(OSError, match="not empty"):
            write_authority(tmp_path / "acme", birth)
        assert [path.name for path in tmp_path.iterdir()] == ["acme"]

    @pytest.mark.parametrize("name", ["", "a" * 64, "a\nb", "a\u202eb"])
    def test_a_name_is_short_and_printable(self, tmp_path: Path, name: str) -> None:
        with refused("name-invalid"):
            Authority.create(tmp_path / "acme", name, now=NOW, passphrase=None)

    def test_a_scheme_is_known_and_a_passphrase_is_something(self, tmp_path: Path) -> None:
        with refused("scheme-unknown"):
            create(tmp_path / "acme", scheme="rsa-1024")
        with refused("passphrase-empty"):
            create(tmp_path / "acme", passphrase=b"")
        assert list(tmp_path.iterdir()) == []

    def test_lifetimes_are_kept(self, tmp_path: Path) -> None:
        lifetimes = Lifetimes(root=30 * DAY, timestamp=2 * DAY)
        authority = Authority.create(
            tmp_path / "acme", "acme", now=NOW, passphrase=None, lifetimes=lifetimes
        )
        assert authority.lifetimes == lifetimes
        assert authority.root_expires == NOW + 30 * DAY
        with authority.edition("prod") as edition:
            release = believed(authority, edition.prepare(FILES, Statement(), now=NOW).sign())
        assert release.ends["tuf.timestamp"] == NOW + 2 * DAY
        assert release.ends["tuf.targets"] == NOW + 365 * DAY


class TestOpening:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with refused("authority-missing"):
            Authority.open(tmp_path / "none")

    @pytest.mark.parametrize(
        "change",
        [
            {"schemaVersion": 2},
            {"more": 1},
            {"authority": "x"},
            {"lifetimes": {}},
            {"keys": []},
        ],
    )
    def test_a_damaged_description(self, tmp_path: Path, change: dict[str, object]) -> None:
        create(tmp_path / "acme")
        path = tmp_path / "acme" / "authority.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
        with refused("authority-damaged", StoreError):
            Authority.open(tmp_path / "acme")

    def test_a_damaged_root(self, tmp_path: Path) -> None:
        create(tmp_path / "acme")
        path = tmp_path / "acme" / "metadata" / "1.root.json"
        path.write_bytes(envelope(root(), key(1)))
        with refused("authority-damaged", StoreError):
            Authority.open(tmp_path / "acme")
        path.unlink()
        with refused("authority-damaged", StoreError):
            Authority.open(tmp_path / "acme")

    def test_a_folder_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "acme").write_text("x")
        with refused("authority-unusable", StoreError):
            Authority.open(tmp_path / "acme")
        with refused("authority-unusable", StoreError):
            create(tmp_path / "acme" / "below")
