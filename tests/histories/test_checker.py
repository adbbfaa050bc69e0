"""The checker of histories finds what is planted, and nothing where nothing is."""

from __future__ import annotations

import time

import pytest
from tests.histories.anomalies import FORBIDDEN, Kind, Level, forbidden
from tests.histories.checker import check
from tests.histories.history import History, Transaction
from tests.histories.planted import ABORTED, PLANTED, UNKNOWN, Planted, X, Y, a, r, t
from tests.stalls import no_collections


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_anomaly_is_found_and_no_other(planted: Planted) -> None:
    found = check(planted.history)
    assert {anomaly.kind for anomaly in found} == planted.kinds, found


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_the_order_in_which_clients_report_does_not_matter(planted: Planted) -> None:
    found = check(planted.history[::-1])
    assert {anomaly.kind for anomaly in found} == planted.kinds, found


def test_every_kind_is_planted() -> None:
    assert len(PLANTED) >= 12
    assert {kind for planted in PLANTED for kind in planted.kinds} == set(Kind)


CLEAN: dict[str, History] = {
    "nothing": (),
    "one after another": (t(a(X, 1)), t(r(X, 1), a(X, 2)), t(r(X, 1, 2))),
    "its own appends read": (t(r(X), a(X, 1), r(X, 1), a(X, 2), r(X, 1, 2)), t(r(X, 1, 2))),
    "rolled back and not seen": (t(r(X), a(X, 1), outcome=ABORTED), t(r(X), a(X, 2)), t(r(X, 2))),
    "a wild read, rolled back": (t(a(X, 1)), t(r(X, 7, 7), r(X), outcome=ABORTED), t(r(X, 1))),
    "unknown and not seen": (t(r(X), a(X, 1), outcome=UNKNOWN), t(r(X), a(X, 2)), t(r(X, 2))),
    "unknown and seen": (t(r(X), a(X, 1), outcome=UNKNOWN), t(r(X, 1), a(X, 2)), t(r(X, 1, 2))),
    "nobody reads": (t(a(X, 1), a(Y, 1)), t(a(X, 2), a(Y, 2))),
    "at once": (
        Transaction((a(X, 1),), began_s=1, ended_s=3),
        Transaction((r(X),), began_s=2, ended_s=4),
        Transaction((r(X, 1),), began_s=2, ended_s=4),
    ),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_history_is_clean(name: str) -> None:
    assert check(CLEAN[name]) == ()


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (
            "read committed",
            {
                *(Kind.FUZZY_READ, Kind.LOST_UPDATE, Kind.G_SINGLE),
                *(Kind.G_NONADJACENT, Kind.G2_ITEM),
            },
        ),
        ("repeatable read", {Kind.G2_ITEM}),
        ("serializable", set[Kind]()),
    ],
)
def test_what_a_level_allows(level: Level, allowed: set[Kind]) -> None:
    assert set(Kind) - FORBIDDEN[level] == allowed


def test_only_what_the_level_forbids_counts() -> None:
    found = check((t(r(X), a(Y, 1)), t(r(Y), a(X, 1)), t(r(X, 1), r(Y, 1))))
    assert forbidden(found, "repeatable read") == ()
    assert forbidden(found, "serializable") == found


def test_a_cycle_is_shown_with_its_keys() -> None:
    (found,) = check((t(r(X), a(Y, 1)), t(r(Y), a(X, 1)), t(r(X, 1), r(Y, 1))))
    assert found.transactions in ((0, 1), (1, 0))
    assert found.text in ("T0 -rw 1-> T1 -rw 2-> T0", "T1 -rw 2-> T0 -rw 1-> T1")


def test_an_append_made_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="is in T0 and in T1"):
        check((t(a(X, 1)), t(a(X, 1))))


def test_a_ring_of_any_length_is_one_anomaly() -> None:
    size = 20_000
    ring = [t(r(n), a((n + 1) % size, 1)) for n in range(size)]
    found = check((*ring, *(t(r(n, 1)) for n in range(size))))
    assert [anomaly.kind for anomaly in found] == [Kind.G2_ITEM]
    assert len(found[0].transactions) == size


def _serial(size: int) -> list[Transaction]:
    """Lists of sixteen values each, read before each append."""
    return [t(r(n // 16, *range(n % 16)), a(n // 16, n % 16)) for n in range(size)]


def test_time_grows_with_length_not_with_its_square() -> None:
    def took_s(size: int) -> float:
        history = _serial(size)
        # What a collection costs depends on all the tests that ran before.
        with no_collections():
            began_s = time.thread_time()
            assert check(history) == ()
            return time.thread_time() - began_s

    took_s(1_000)
    # Sixteen times as long; with the square it would be 256.
    assert took_s(32_000) < 64 * max(took_s(2_000), 0.005)
