"""Which server answers, by what is known of each."""

from __future__ import annotations

import msgspec

from tierline.postgres.routing import NodeState, ReadPolicy, judged, primary_of, readers

PRIMARY = NodeState("primary", timeline=3, latency_s=0.002)
NEAR = NodeState("replica", timeline=3, latency_s=0.001)
FAR = NodeState("replica", timeline=3, latency_s=0.009, lag_s=5)
GONE = NodeState("unknown", timeline=3)
OLD = NodeState("primary", timeline=2)


def order(policy: ReadPolicy, *states: NodeState, turn: int = 0, draw: float = 0.0) -> list[int]:
    return readers(policy, states, [True] * len(states), turn, draw)


def test_the_primary_is_the_one_of_the_newest_timeline() -> None:
    assert primary_of([NEAR, PRIMARY, OLD]) == 1
    assert primary_of([OLD, NEAR]) is None, "a replica of a newer timeline follows another primary"
    assert primary_of([]) is None
    assert [state.role for state in judged([OLD, PRIMARY])] == ["outdated", "primary"]


def test_reads_of_the_primary_go_nowhere_else() -> None:
    assert order(ReadPolicy(), NEAR, PRIMARY) == [1]
    assert order(ReadPolicy(), NEAR, GONE) == []


def test_replicas_take_turns_and_the_primary_is_the_last_resort() -> None:
    policy = ReadPolicy("prefer-replica")
    assert order(policy, PRIMARY, NEAR, FAR, turn=0) == [1, 2, 0]
    assert order(policy, PRIMARY, NEAR, FAR, turn=1) == [2, 1, 0]
    assert order(policy, PRIMARY, GONE) == [0]
    assert order(policy, PRIMARY, OLD, NEAR) == [2, 0]


def test_a_replica_that_lags_or_cannot_be_reached_is_left_out() -> None:
    policy = ReadPolicy("prefer-replica", max_lag_s=1)
    assert order(policy, PRIMARY, NEAR, FAR, turn=1) == [1, 0]
    assert readers(policy, [PRIMARY, NEAR], [True, False], 0, 0.0) == [0]


def test_the_other_policies_count_the_primary_in() -> None:
    assert order(ReadPolicy("nearest"), PRIMARY, NEAR, FAR) == [1, 0, 2]
    turns = [order(ReadPolicy("round-robin"), PRIMARY, NEAR, FAR, turn=n)[0] for n in range(4)]
    assert turns == [0, 1, 2, 0]
    weighted = ReadPolicy("weighted", weights=(1, 3, 0))
    firsts = [order(weighted, PRIMARY, NEAR, FAR, draw=n / 100)[0] for n in range(100)]
    assert (firsts.count(0), firsts.count(1), firsts.count(2)) == (25, 75, 0)
    assert sorted(order(weighted, PRIMARY, NEAR, FAR, draw=0.9)) == [0, 1, 2]


def test_without_a_primary_replicas_still_answer() -> None:
    assert order(ReadPolicy("prefer-replica"), NEAR, GONE) == [0]


def test_a_replica_that_follows_a_primary_of_the_past_is_left_out() -> None:
    promoted = msgspec.structs.replace(PRIMARY, timeline=4)
    assert order(ReadPolicy("prefer-replica"), promoted, NEAR) == [0]
    unsaid = msgspec.structs.replace(NEAR, timeline=0)
    assert order(ReadPolicy("prefer-replica"), promoted, unsaid) == [1, 0]
