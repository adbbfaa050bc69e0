"""Which server answers: pure functions over what is known of each.

A write goes to the primary: of the servers that say they are one, that of the highest timeline,
as each promotion begins a new one. A read goes where its policy says, among the replicas that
follow closely enough, and to the primary if there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["primary", "replica", "outdated", "unknown"]
"""`outdated`: it takes writes, but another server has been promoted over it."""

Policy: TypeAlias = Literal["primary", "prefer-replica", "nearest", "round-robin", "weighted"]


class ReadPolicy(msgspec.Struct, frozen=True):
    """Where reads go; made by `tl.reads`.

    Attributes:
        policy: `primary`: as writes. `prefer-replica`: the replicas in turn. `nearest`: the server
            that answers soonest, the primary too. `round-robin`: every server in turn, the primary
            too. `weighted`: every server, in proportion to its weight.
        max_lag_s: Replicas further behind are not asked; None asks any.
        weights: Of the servers in the order of the URL and `replicas`, for `weighted`.
        wait_s: Seconds that a replica is given to catch up with this context's own writes.
    """

    policy: Policy = "primary"
    max_lag_s: float | None = None
    weights: tuple[float, ...] = ()
    wait_s: float = 0.05


class NodeState(msgspec.Struct, frozen=True):
    """What is known of one server.

    Attributes:
        role: What it was when it was last asked.
        timeline: Its timeline, counted up by each promotion; 0 if unknown.
        version: Its version as a number, such as 180001; 0 if unknown.
        position: The WAL position it has written or replayed, in bytes; 0 if unknown.
        lag_s: Seconds that its last replayed transaction is old, if it has not replayed everything
            that it received or receives nothing; 0 on a primary.
        latency_s: Seconds that it took to answer, smoothed.
        seen_s: When it last answered, by the monotonic clock; 0 if never.
    """

    role: Role = "unknown"
    timeline: int = 0
    version: int = 0
    position: int = 0
    lag_s: float = 0.0
    latency_s: float = 0.0
    seen_s: float = 0.0


UNKNOWN = NodeState()


def primary_of(states: Sequence[NodeState]) -> int | None:
    """The position of the server that takes writes; None if none is known."""
    newest = max((state.timeline for state in states), default=0)
    for n, state in enumerate(states):
        if state.role == "primary" and state.timeline == newest:
            return n
    return None


def judged(states: Sequence[NodeState]) -> list[NodeState]:
    """The states, with primaries of an older timeline called outdated."""
    newest = max((state.timeline for state in states), default=0)
    return [
        msgspec.structs.replace(state, role="outdated")
        if state.role == "primary" and state.timeline < newest
        else state
        for state in states
    ]


def readers(
    policy: ReadPolicy, states: Sequence[NodeState], usable: Sequence[bool], turn: int, draw: float
) -> list[int]:
    """The positions of servers to ask, best first; the primary is the last resort.

    Args:
        policy: Where reads go.
        states: What is known of each server.
        usable: Whether each one's circuit is closed.
        turn: Counts the reads, for taking turns.
        draw: A random number from 0 to 1, for `weighted`.
    """
    primary = primary_of(states)
    newest = max((state.timeline for state in states), default=0)
    if policy.policy == "primary":
        return [] if primary is None else [primary]

    def may_answer(n: int) -> bool:
        state = states[n]
        if n == primary:
            return policy.policy != "prefer-replica"
        follows = policy.max_lag_s is None or state.lag_s <= policy.max_lag_s
        # One that still follows a primary of the past never learns what came after.
        is_current = state.timeline in (0, newest)
        return state.role == "replica" and usable[n] and follows and is_current

    found = [n for n in range(len(states)) if may_answer(n)]
    if policy.policy == "nearest":
        found.sort(key=lambda n: states[n].latency_s)
    elif policy.policy == "weighted":
        found = _drawn(found, policy.weights, draw)
    elif found:
        first = turn % len(found)
        found = found[first:] + found[:first]
    if primary is not None and primary not in found:
        found.append(primary)
    return found


def _drawn(found: list[int], weights: Sequence[float], draw: float) -> list[int]:
    """One drawn by weight before the others."""
    share = [weights[n] if n < len(weights) else 1.0 for n in found]
    left = draw * sum(share)
    for n, weight in zip(found, share, strict=True):
        left -= weight
        if left < 0:
            return [n, *(other for other in found if other != n)]
    return found
