from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from airgap.errors import AirgapError, StoreError, TrustRootError, UsageError
from airgap.ledger.pins import Pin, Pins, read_root_1
from airgap.oci.digest import Digest
from airgap.trust.fingerprint import bootstrap_code
from tests.simulators.authority import (
    ACME,
    OTHER,
    Document,
    changed,
    envelope,
    fingerprint_of,
    key,
    rfc8785,
    root,
)

SCHEMA = Path(__file__).parents[2] / "schemas" / "pin.schema.json"
CODE = bootstrap_code(1, Digest.of(b"inventory"))


def rename(document: Document) -> None:
    document["x-airgap"]["name"] = "other"


ROOT = envelope(root(), key(1))
OTHER_ROOT = envelope(changed(root(authority=OTHER, root_keys=(key(7),)), rename), key(7))
TOLD, OTHER_TOLD = fingerprint_of(ROOT), fingerprint_of(OTHER_ROOT)


def refused(reason: str, kind: type[AirgapError] = UsageError) -> object:
    return pytest.raises(kind, check=lambda error: error.reason == reason)


def test_a_pin_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    pin = Pins(state).add(ROOT, told=TOLD.lower(), codes=[("prod", CODE.lower())])
    assert pin == Pin(
        name="acme", authority=ACME, fingerprint=TOLD, root=ROOT, codes={"prod": CODE}
    )
    assert Pins(state).all() == (pin,)
    assert Pins(state).find(ACME) == pin
    file = state / "trust" / f"{ACME}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir() if path.name != "lock"] == [file.name]


def test_reading_writes_nothing(tmp_path: Path) -> None:
    assert Pins(tmp_path / "state").all() == ()
    with refused("authority-not-pinned", TrustRootError):  # type: ignore[attr-defined]
        Pins(tmp_path / "state").find(ACME)
    assert list(tmp_path.iterdir()) == []


def test_the_anchor_begins_with_the_pinned_root() -> None:
    pin = read_root_1(ROOT)
    assert pin.anchor().roots == (ROOT,)
    assert pin.anchor([b"1", b"2"]).roots == (b"1", b"2")
    assert (pin.anchor().authority, pin.anchor().fingerprint) == (ACME, TOLD)


def test_what_a_person_was_told_decides(tmp_path: Path) -> None:
    with refused("fingerprint-mismatch", TrustRootError):  # type: ignore[attr-defined]
        Pins(tmp_path).add(ROOT, told=OTHER_TOLD)
    with refused("fingerprint-mistyped"):  # type: ignore[attr-defined]
        Pins(tmp_path).add(ROOT, told=TOLD[:-1])
    assert Pins(tmp_path).all() == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        ROOT + b"\n",
        ROOT[:-1],
        envelope(root()),
        envelope(root(), key(9)),
        envelope(root(2), key(1)),
    ],
)
def test_what_is_no_first_root_is_not_pinned(tmp_path: Path, data: bytes) -> None:
    with refused("root-invalid"):  # type: ignore[attr-defined]
        Pins(tmp_path).add(data, told=TOLD)


def test_pinning_again_adds_and_never_widens(tmp_path: Path) -> None:
    pins = Pins(tmp_path)
    pins.add(ROOT, told=TOLD, name="ours", names=["a/**"], shared=True, codes=[("prod", CODE)])
    again = pins.add(ROOT, told=TOLD, codes=[("test", CODE)])
    assert (again.name, again.names, again.shared) == ("ours", ("a/**",), True)
    assert again.codes == {"prod": CODE, "test": CODE}
    narrowed = pins.add(ROOT, told=TOLD, name="theirs", names=["a/b"])
    assert (narrowed.name, narrowed.names, narrowed.shared) == ("theirs", ("a/b",), False)
    assert pins.all() == (narrowed,)


def test_another_root_under_the_same_id_is_refused(tmp_path: Path) -> None:
    Pins(tmp_path).add(ROOT, told=TOLD)
    twin = envelope(root(root_keys=(key(9),)), key(9))
    with refused("authority-id-taken"):  # type: ignore[attr-defined]
        Pins(tmp_path).add(twin, told=fingerprint_of(twin), names=["b/**"])


class TestScopes:
    def test_the_first_may_do_without(self, tmp_path: Path) -> None:
        pin = Pins(tmp_path).add(ROOT, told=TOLD)
        assert pin.speaks_for("any/thing:1")

    def test_a_scope_binds(self, tmp_path: Path) -> None:
        pin = Pins(tmp_path).add(ROOT, told=TOLD, names=["registry.example/**"])
        assert pin.speaks_for("registry.example/prod/app:1.4")
        assert not pin.speaks_for("docker.io/library/nginx:1")

    @pytest.mark.parametrize(
        ("first", "second"), [(None, ["b/**"]), (["a/**"], None), (None, None)]
    )
    def test_with_two_each_needs_one(
        self, tmp_path: Path, first: list[str] | None, second: list[str] | None
    ) -> None:
        Pins(tmp_path).add(ROOT, told=TOLD, names=first)
        with refused("pin-scope-needed"):  # type: ignore[attr-defined]
            Pins(tmp_path).add(OTHER_ROOT, told=OTHER_TOLD, names=second)

    def test_scopes_do_not_overlap_unless_they_are_shared(self, tmp_path: Path) -> None:
        pins = Pins(tmp_path)
        pins.add(ROOT, told=TOLD, names=["a/**", "c/x"])
        with refused("pin-scope-overlaps"):  # type: ignore[attr-defined]
            pins.add(OTHER_ROOT, told=OTHER_TOLD, names=["b/**", "*/x"])
        pins.add(OTHER_ROOT, told=OTHER_TOLD, names=["b/**"])
        pins.add(OTHER_ROOT, told=OTHER_TOLD, names=["*/x"], shared=True)
        assert [pin.name for pin in pins.all()] == ["acme", "other"]
        assert pins.find(OTHER).shared

    def test_two_do_not_have_one_name(self, tmp_path: Path) -> None:
        pins = Pins(tmp_path)
        pins.add(ROOT, told=TOLD, names=["a/**"])
        with refused("pin-name-taken"):  # type: ignore[attr-defined]
            pins.add(OTHER_ROOT, told=OTHER_TOLD, name="acme", names=["b/**"])

    def test_what_is_no_pattern(self, tmp_path: Path) -> None:
        with refused("pattern-invalid"):  # type: ignore[attr-defined]
            Pins(tmp_path).add(ROOT, told=TOLD, names=["A b"])


@pytest.mark.parametrize(
    ("code", "reason"),
    [(("../x", CODE), "stream-invalid"), (("prod", "1:x"), "bootstrap-code-mistyped")],
)
def test_codes_are_checked(tmp_path: Path, code: tuple[str, str], reason: str) -> None:
    with refused(reason):  # type: ignore[attr-defined]
        Pins(tmp_path).add(ROOT, told=TOLD, codes=[code])


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 2},
        {"name": 1},
        {"root": "{}"},
        {"fingerprint": OTHER_TOLD},
        {"fingerprint": "x"},
        {"names": ["A b"]},
        {"names": "a/**"},
        {"shared": 1},
        {"codes": {"prod": "x"}},
        {"codes": []},
        {"authority": OTHER},
        {"more": 1},
    ],
)
def test_a_damaged_pin_stops_everything(tmp_path: Path, change: dict[str, object]) -> None:
    pins = Pins(tmp_path)
    pin = pins.add(ROOT, told=TOLD)
    file = tmp_path / "trust" / f"{ACME}.json"
    file.write_bytes(rfc8785({**pin.to_json(), **change}))
    for use in (pins.all, lambda: pins.find(ACME), lambda: pins.add(ROOT, told=TOLD)):
        with refused("pin-damaged", StoreError):  # type: ignore[attr-defined]
            use()


def test_a_pin_under_another_name_is_damaged(tmp_path: Path) -> None:
    Pins(tmp_path).add(ROOT, told=TOLD)
    (tmp_path / "trust" / f"{ACME}.json").rename(tmp_path / "trust" / f"{OTHER}.json")
    with refused("pin-damaged", StoreError):  # type: ignore[attr-defined]
        Pins(tmp_path).all()


def test_files_that_are_no_pins_are_left_alone(tmp_path: Path) -> None:
    Pins(tmp_path).add(ROOT, told=TOLD)
    (tmp_path / "trust" / "README").write_text("x")
    (tmp_path / "trust" / f"{OTHER}.bak").write_text("x")
    assert len(Pins(tmp_path).all()) == 1


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "trust").write_text("x")
    for use in (Pins(tmp_path).all, lambda: Pins(tmp_path).add(ROOT, told=TOLD)):
        with refused("pins-unusable", StoreError):  # type: ignore[attr-defined]
            use()


def test_the_schema_describes_a_pin(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    pins = Pins(tmp_path)
    validator.validate(pins.add(ROOT, told=TOLD).to_json())
    full = pins.add(ROOT, told=TOLD, names=["a/**"], codes=[("prod", CODE)]).to_json()
    validator.validate(full)
    assert not validator.is_valid({**full, "more": 1})
    for name in full.keys() - {"names"}:
        assert not validator.is_valid({key: value for key, value in full.items() if key != name})
