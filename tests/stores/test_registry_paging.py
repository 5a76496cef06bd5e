"""Tags in pages, and pages that lead nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airgap.errors import (
    StoreError,
)
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import image, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER = os.urandom(3 << 20)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry()) as registry:
        yield registry


def test_tags_come_in_pages(fake: FakeRegistry) -> None:
    fake.page = 2
    put_image(fake, "app", image(), *"abcde")
    with visit(fake) as store:
        assert list(store.repository("app").tags()) == list("abcde")
    assert len(fake.seen) == 3


@pytest.mark.parametrize(("reply", "reason"), [
    (Reply(body=b'{"tags": ["a"]}', headers={"Link": '<?again>; rel="next"'}), "paging-endless"),
    (Reply(body=b'{"tags": []}', headers={"Link": "<//evil.example>; rel=next"}), "paging-foreign"),
    (Reply(body=b'{"tags": []}', headers={"Link": '<http://[>; rel="next"'}), "location-invalid"),
    (Reply(body=b'{"tags": ["../x"]}'), "tags-invalid"),
    (Reply(body=b'{"tags": [1]}'), "tags-invalid"),
    (Reply(body=b'["a"]'), "tags-invalid"),
    (Reply(body=b"<html>"), "tags-invalid"),
])  # fmt: skip
def test_tags_that_lead_nowhere(fake: FakeRegistry, reply: Reply, reason: str) -> None:
    fake.faults.append(lambda _: reply)
    with visit(fake) as store, pytest.raises(StoreError) as caught:
        list(store.repository("app").tags())
    assert caught.value.reason == reason
    assert len(fake.seen) <= 2


def test_a_repository_without_tags_has_none(fake: FakeRegistry) -> None:
    fake.faults.append(lambda _: Reply(body=b'{"name": "app", "tags": null}'))
    with visit(fake) as store:
        assert list(store.repository("app").tags()) == []
