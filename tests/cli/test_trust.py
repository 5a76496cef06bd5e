"""`airgap trust`: init, pin and show, for people and for programs, typed and given."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.cli.scenes import at_a_terminal, typed
from tests.journey import Answer, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.scenes import Scene


def refused(answer: Answer, code: int, reason: str) -> None:
    assert (answer.code, answer.error["reason"]) == (code, reason), answer.err
    assert answer.out == ""
    assert answer.error["hint"]


# --- init -----------------------------------------------------------------------------------


def test_init_for_people(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("four random words\n")
    answer = run("trust", "init", "acme", "--authority", tmp_path / "acme",
                 "--passphrase-file", tmp_path / "words")  # fmt: skip
    assert answer.code == 0
    first, *rest = answer.out.splitlines()
    assert first.startswith("Created the authority acme: root 1, good until 20")
    assert first.endswith("ecdsa-p256, passphrase-protected.")
    assert any("fingerprint" in line and "say it over the phone" in line for line in rest)
    for key in ("root", "bundle"):
        path = tmp_path / "acme" / "keys" / f"{key}.pem"
        assert b"ENCRYPTED" in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "four random words" not in answer.out + answer.err


def test_init_for_programs(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    answer = run(
        "trust", "init", "acme", "--authority", tmp_path / "acme", "--no-passphrase",
        "--root-out", tmp_path / "usb", "--scheme", "ed25519", "--format", "json",
    )  # fmt: skip
    found = answer.document
    assert (found["name"], found["root"]) == ("acme", 1)
    assert len(found["fingerprint"].replace("-", "")) == 28
    assert (tmp_path / "usb" / "root.pem").is_file()
    assert not (tmp_path / "acme" / "keys" / "root.pem").exists()


def test_init_says_when_nothing_protects_the_keys(tmp_path: Path) -> None:
    answer = run("trust", "init", "acme", "--authority", tmp_path / "a", "--no-passphrase",
                 "--root-out", tmp_path / "root.pem")  # fmt: skip
    assert "NOT passphrase-protected" in answer.out
    assert f"root key     {tmp_path}/root.pem" in answer.out


def test_init_refuses(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    common = ("--format", "json", "--authority")
    refused(run("trust", "init", "acme", *common, tmp_path / "a"), 2, "passphrase-needed")
    refused(run("trust", "init", "acme", *common, tmp_path / "a", "--passphrase-file",
                tmp_path / "empty"), 2, "passphrase-empty")  # fmt: skip
    refused(run("trust", "init", "acme", *common, tmp_path / "a", "--no-passphrase",
                "--scheme", "rot13"), 2, "scheme-unknown")  # fmt: skip
    refused(run("trust", "init", "a\x1b", *common, tmp_path / "a", "--no-passphrase"), 2,
            "name-invalid")  # fmt: skip
    assert not (tmp_path / "a").exists()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    refused(run("trust", "init", "acme", *common, tmp_path / "there", "--no-passphrase"), 2,
            "authority-exists")  # fmt: skip


# --- pin and show ---------------------------------------------------------------------------


def pin(scene: Scene, state: Path, *arguments: object) -> tuple[object, ...]:
    return ("trust", "pin", scene.journey.authority / "root.json", "--state", state, *arguments)


def test_pin_and_show_for_people(scene: Scene, tmp_path: Path) -> None:
    empty = run("trust", "show", "--state", tmp_path)
    assert (empty.code, empty.out) == (0, "")
    assert "no authority is pinned here" in empty.err
    told = ("--fingerprint", scene.journey.fingerprint)
    answer = run(*pin(scene, tmp_path, *told))
    assert answer.code == 0
    assert answer.out == "Pinned acme (root 1). Bundles of acme are believed from now on.\n"
    shown = run("trust", "show", "--state", tmp_path).out
    assert shown.startswith("acme   ")
    assert shown.endswith(f"{scene.journey.fingerprint}   every name\n")


def test_pin_and_show_for_programs(scene: Scene, tmp_path: Path) -> None:
    answer = run(*pin(scene, tmp_path, "--fingerprint", scene.journey.fingerprint.lower(),
                      "--name", "our-acme", "--names", "registry.example/**", "--shared",
                      "--expect", f"prod={scene.code}", "--format", "json"))  # fmt: skip
    assert answer.document["name"] == "our-acme"
    (shown,) = run("trust", "show", "--state", tmp_path, "--format", "json").document["pins"]
    assert shown == answer.document
    assert (shown["names"], shown["codes"]) == (["registry.example/**"], {"prod": scene.code})
    assert "registry.example/**" in run("trust", "show", "--state", tmp_path).out


def test_the_fingerprint_is_typed_at_a_terminal_and_never_offered(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(run(*pin(scene, tmp_path, "--format", "json")), 2, "fingerprint-needed")
    at_a_terminal(monkeypatch, "trust")
    right = typed(f"{scene.journey.fingerprint}\n", *pin(scene, tmp_path))
    assert right.code == 0
    assert "Type the fingerprint of acme" in right.err
    other = tmp_path / "other"
    wrong = typed(f"{'0' * 28}\n", *pin(scene, other, "--format", "json"))
    assert wrong.code in {2, 6}
    assert scene.journey.fingerprint not in wrong.out + wrong.err
    assert not list(other.rglob("*.json"))


def test_the_wrong_fingerprint(scene: Scene, tmp_path: Path) -> None:
    made = run("trust", "init", "b", "--authority", tmp_path / "b", "--no-passphrase",
               "--format", "json")  # fmt: skip
    told = ("--fingerprint", made.document["fingerprint"], "--format", "json")
    refused(run(*pin(scene, tmp_path / "state", *told)), 6, "fingerprint-mismatch")
    mistyped = scene.journey.fingerprint[:-1] + "A"
    answer = run(*pin(scene, tmp_path / "state", "--fingerprint", mistyped, "--format", "json"))
    assert answer.code in {2, 6}
    assert not list((tmp_path / "state").rglob("*.json"))


def test_what_is_no_root(scene: Scene, tmp_path: Path) -> None:
    told = ("--fingerprint", scene.journey.fingerprint, "--state", tmp_path, "--format", "json")
    for content in (b"", b"{}", b"\xff", b"[" * 10_000, bytes((1 << 20) + 1)):
        (tmp_path / "root.json").write_bytes(content)
        refused(run("trust", "pin", tmp_path / "root.json", *told), 2, "root-invalid")
    refused(run("trust", "pin", tmp_path / "none.json", *told), 2, "root-unreadable")
    refused(run("trust", "pin", tmp_path, *told), 2, "root-unreadable")
    refused(run("trust", "pin", "/dev/zero", *told), 2, "root-invalid")
    document = json.loads((scene.journey.authority / "root.json").read_text())
    document["signed"]["x-airgap"]["name"] = "\x1b[2Jacme"
    (tmp_path / "root.json").write_text(json.dumps(document))
    answer = run("trust", "pin", tmp_path / "root.json", *told)
    refused(answer, 2, "root-invalid")
    assert "\x1b" not in answer.err


@pytest.mark.parametrize("text", ["prod", "prod=", "=1:0000-0000", "Prod!=1:0000-0000"])
def test_codes_that_are_none(scene: Scene, tmp_path: Path, text: str) -> None:
    answer = run(*pin(scene, tmp_path, "--fingerprint", scene.journey.fingerprint,
                      "--expect", text, "--format", "json"))  # fmt: skip
    assert answer.code == 2
    assert answer.error["hint"]
