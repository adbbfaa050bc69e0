"""The checker agrees with trying every order, on histories small enough for that."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.histories.anomalies import forbidden
from tests.histories.checker import check
from tests.histories.history import Append, Operation, Outcome, Read, Transaction
from tests.histories.simulated import (
    Lists,
    is_serializable,
    is_snapshot_isolated,
    run_on_snapshots,
    run_serially,
)

KEYS = 3


@st.composite
def programs(draw: Any, most: int) -> list[Transaction]:
    """Transactions that have not run: their reads are empty, their values numbered."""
    plans = draw(
        st.lists(
            st.lists(st.tuples(st.booleans(), st.integers(1, KEYS)), min_size=1, max_size=4),
            min_size=2,
            max_size=most,
        )
    )
    found: list[Transaction] = []
    value = 0
    for plan in plans:
        operations: list[Operation] = []
        for is_append, key in plan:
            value += 1
            operations.append(Append(key, value) if is_append else Read(key, ()))
        found.append(Transaction(tuple(operations)))
    return found


def last_look(lists: Lists) -> Transaction:
    """A transaction that reads every list at the end."""
    return Transaction(tuple(Read(key, lists.get(key, ())) for key in range(1, KEYS + 1)))


@given(programs(30), st.randoms(use_true_random=False), st.data())
def test_what_ran_one_after_another_is_clean(
    plan: list[Transaction], random: Any, data: st.DataObject
) -> None:
    outcomes = data.draw(st.lists(st.sampled_from(Outcome), min_size=len(plan), max_size=len(plan)))
    kept = [
        outcome is Outcome.COMMITTED or (outcome is Outcome.UNKNOWN and random.random() < 0.5)
        for outcome in outcomes
    ]
    done, lists = run_serially(plan, kept)
    timed = [
        transaction._replace(outcome=outcome, began_s=float(n), ended_s=n + 0.5)
        for n, (transaction, outcome) in enumerate(zip(done, outcomes, strict=True))
    ]
    end_s = float(len(plan))
    history = [*timed, last_look(lists)._replace(began_s=end_s, ended_s=end_s)]
    random.shuffle(history)
    assert check(history) == ()


@given(programs(12), st.data())
def test_what_ran_on_snapshots_shows_write_skew_at_worst(
    plan: list[Transaction], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=3 * len(plan)))
    done, lists = run_on_snapshots(plan, steps)
    assert forbidden(check([*done, last_look(lists)]), "repeatable read") == ()


@settings(max_examples=300)
@given(programs(4), st.data())
def test_serializable_is_what_some_order_explains(
    plan: list[Transaction], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=3 * len(plan)))
    done, lists = run_on_snapshots(plan, steps)
    history = [*mutated(done, lists, data), last_look(lists)]
    assert (check(history) == ()) is is_serializable(history)


@settings(max_examples=300)
@given(programs(4), st.data())
def test_snapshot_isolation_is_what_some_schedule_explains(
    plan: list[Transaction], data: st.DataObject
) -> None:
    done, lists = run_serially(plan, [True] * len(plan))
    history = [*mutated(done, lists, data), last_look(lists)]
    clean = forbidden(check(history), "repeatable read") == ()
    assert clean is is_snapshot_isolated(history)


@settings(max_examples=300)
@given(programs(5), st.data())
def test_one_change_that_no_order_explains_is_found(
    plan: list[Transaction], data: st.DataObject
) -> None:
    done, lists = run_serially(plan, [True] * len(plan))
    history = [*mutated(done, lists, data, changes=1), last_look(lists)]
    if not is_serializable(history):
        assert check(history) != ()


def mutated(
    history: list[Transaction], lists: Lists, data: st.DataObject, *, changes: int = 3
) -> list[Transaction]:
    """Some reads give another version of their list: an older one, a newer one, or a wrong one."""
    found = list(history)
    reads = [
        (n, place)
        for n, transaction in enumerate(found)
        for place, operation in enumerate(transaction.operations)
        if isinstance(operation, Read)
    ]
    for _ in range(data.draw(st.integers(min(1, changes), changes)) if reads else 0):
        n, place = data.draw(st.sampled_from(reads))
        operations = list(found[n].operations)
        whole = lists.get(operations[place].key, ())
        values = data.draw(
            st.one_of(
                st.integers(0, len(whole)).map(lambda size, whole=whole: whole[:size]),
                st.permutations(whole).map(tuple),
                st.just((*whole, 99)),
            )
        )
        operations[place] = Read(operations[place].key, values)
        found[n] = found[n]._replace(operations=tuple(operations))
    return found
