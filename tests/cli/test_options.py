"""What commands share: where the state is, which files registries need, passphrases."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airgap.cli.options import default_state, passphrase_reader, store_options
from airgap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_where_the_state_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_state(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert default_state(None) == tmp_path / "xdg" / "airgap"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_state(None) == Path("/var/lib/airgap")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_state(None) == tmp_path / ".local" / "state" / "airgap"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers that run under any number."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UsageError) as raised:
        default_state(None)
    assert raised.value.reason == "state-unknown"
    assert "--state" in raised.value.hint


def test_files_must_be_there_and_hosts_are_in_lower_case(tmp_path: Path) -> None:
    given = {
        "authfile": None, "ca_file": None, "client_certificate": None, "client_key": None,
        "insecure_http": ["Registry.Example:5000"], "auth_realms": ["Auth.Example"],
        "redirect_hosts": ["CDN.Example"],
    }  # fmt: skip
    made = store_options(side="destination", **given)  # type: ignore[arg-type]  # as the options give
    assert made.insecure_http == {"registry.example:5000"}
    assert made.auth_realms == {"auth.example"}
    assert made.redirect_hosts == {"cdn.example"}
    for name in ("authfile", "ca_file", "client_certificate", "client_key"):
        with pytest.raises(UsageError) as raised:
            store_options(side="source", **{**given, name: tmp_path / "none"})  # type: ignore[arg-type]  # as above
        assert raised.value.reason == "file-not-found"


def test_a_passphrase_from_a_file_or_a_descriptor(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first line\r\nsecond line\n")
    assert passphrase_reader(tmp_path / "file", None, prompt="")() == b"first line"
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe\n")
    os.close(writing)
    assert passphrase_reader(None, reading, prompt="")() == b"from a pipe"
    os.close(reading)
    for reader in (
        passphrase_reader(tmp_path / "none", None, prompt=""),
        passphrase_reader(None, reading, prompt=""),
    ):
        with pytest.raises(UsageError) as raised:
            reader()
        assert raised.value.reason == "passphrase-unreadable"


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sits a person at the terminal, who types these."""

    def sit(*answers: str) -> None:
        left = iter(answers)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr("getpass.getpass", lambda prompt: next(left))

    return sit


def test_a_passphrase_from_a_person(type_in: Callable[..., None]) -> None:
    type_in("secret")
    assert passphrase_reader(None, None, prompt="Passphrase")() == b"secret"
    type_in("new", "new")
    assert passphrase_reader(None, None, prompt="New", confirm=True)() == b"new"
    type_in("new", "mistyped")
    with pytest.raises(UsageError) as raised:
        passphrase_reader(None, None, prompt="New", confirm=True)()
    assert raised.value.reason == "passphrase-mismatch"


def test_nobody_there_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(UsageError) as raised:
        passphrase_reader(None, None, prompt="Passphrase")()
    assert raised.value.reason == "passphrase-needed"
