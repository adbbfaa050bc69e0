"""What is spared of a store's own writes when they are heard again."""

from __future__ import annotations

import time

import pytest

from tierline.cache import own_writes
from tierline.cache.own_writes import OwnWrites

HERE = ("public", "pages")
THERE = ("public", "owners")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is due because of the time that the test takes."""
    monkeypatch.setattr(own_writes, "_GRACE_S", 600.0)


def test_what_was_decided_is_spared_as_often_as_it_was() -> None:
    own = OwnWrites()
    own.decided(HERE, 7)
    own.decided(HERE, 7)
    assert [own.spares(HERE, 7) for _ in range(3)] == [True, True, True]
    assert own.spared == 2
    # The third may yet be decided, until everything until then is to count as heard.
    assert own.due() == []
    assert own.due(time.monotonic()) == [HERE]


def test_a_transaction_is_known_by_table_and_id() -> None:
    own = OwnWrites()
    own.decided(HERE, 7)
    own.spares(THERE, 7)
    own.spares(HERE, 8)
    assert own.due(0.0) == [THERE, HERE]
    assert own.spared == 0


def test_what_is_decided_after_it_was_heard_is_spared() -> None:
    own = OwnWrites()
    own.spares(HERE, 7)
    assert own.waits
    own.decided(HERE, 7)
    assert own.due(time.monotonic()) == []
    assert not own.waits
    assert own.spared == 1


def test_what_has_waited_long_enough_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnWrites()
    own.spares(HERE, 7)
    assert own.due() == []
    monkeypatch.setattr(own_writes, "_GRACE_S", -1.0)
    assert own.due() == [HERE]


def test_notes_end_with_the_heartbeat_that_was_sent_after_them() -> None:
    own = OwnWrites()
    own.decided(HERE, 7)
    sent_s = time.monotonic()
    assert own.due(sent_s - 600) == []
    assert own.spares(HERE, 7)
    own.decided(HERE, 8)
    own.due(time.monotonic() + 1)
    own.spares(HERE, 8)
    assert own.due(time.monotonic()) == [HERE]


def test_what_is_in_doubt_is_not_spared_before_or_after() -> None:
    own = OwnWrites()
    own.decided(HERE, 7)
    own.decided(HERE, 8)
    own.doubt(7)
    own.decided(HERE, 7)
    assert own.spares(HERE, 7)
    assert own.spares(HERE, 8)
    # The first waits, and is nobody's.
    assert own.due(time.monotonic()) == [HERE]
    assert own.spared == 1


def test_little_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_writes, "_NOTES_MAX", 2)
    monkeypatch.setattr(own_writes, "_WAITING_MAX", 1)
    own = OwnWrites()
    for xid in (1, 2, 3):
        own.decided(HERE, xid)
    assert own.spares(HERE, 1)
    assert own.spared == 0
    # Nothing more can wait.
    assert not own.spares(HERE, 9)
    assert own.spares(HERE, 3)


def test_who_begins_anew_knows_nothing() -> None:
    own = OwnWrites()
    own.decided(HERE, 7)
    own.spares(HERE, 8)
    own.clear()
    assert own.due(0.0) == []
    own.spares(HERE, 7)
    assert own.due(0.0) == [HERE]
