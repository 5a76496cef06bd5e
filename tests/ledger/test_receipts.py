from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap.errors import StoreError
from airgap.ledger.durable import write_file
from airgap.ledger.receipts import write_receipt
from airgap.trust.fingerprint import short_form

if TYPE_CHECKING:
    from pathlib import Path


def test_a_receipt_is_the_verdict_and_has_a_short_form(tmp_path: Path) -> None:
    document = {"schemaVersion": 1, "result": "accepted"}
    receipt = write_receipt(tmp_path / "state", document, stream="prod", sequence=3)
    assert receipt.path == tmp_path / "state" / "receipts" / "prod-3.json"
    data = receipt.path.read_bytes()
    assert json.loads(data) == document
    assert receipt.short_form == short_form(data)
    assert len(receipt.short_form.replace("-", "")) == 26
    assert receipt.path.stat().st_mode & 0o777 == 0o600


def test_a_receipt_is_never_written_over(tmp_path: Path) -> None:
    first = write_receipt(tmp_path, {"a": 1}, stream="prod", sequence=3)
    again = write_receipt(tmp_path, {"a": 1}, stream="prod", sequence=3)
    other = write_receipt(tmp_path, {"a": 2}, stream="prod", sequence=3)
    assert again == first
    assert other.path.name == "prod-3.2.json"
    assert json.loads(first.path.read_bytes()) == {"a": 1}
    assert len(list(first.path.parent.iterdir())) == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "receipts").write_text("x")
    with pytest.raises(StoreError) as caught:
        write_receipt(tmp_path, {}, stream="prod", sequence=1)
    assert caught.value.reason == "receipt-unwritable"


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with pytest.raises(TypeError):
        write_file(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    write_file(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"
