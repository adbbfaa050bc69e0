"""The workloads of `budgets.py` under pytest-benchmark: `pytest benches --benchmark-enable`.

A test for each contender, grouped by workload. Without the option each runs once, to test that it
does the same work as ours.
"""

from __future__ import annotations

from typing import Any

import pytest

from budgets import WORKLOADS
from measure import Deferred, Timed
from workload import OURS, Workload, check_same_work
from world import World

_ROUNDS = 5


@pytest.mark.parametrize(
    ("workload", "name"),
    [
        pytest.param(workload, name, id=f"{workload.group}: {workload.name}: {name}")
        for workload in WORKLOADS
        for name in workload.named
    ],
)
def test_contender_does_the_same_work_as_ours(
    workload: Workload, name: str, world: World, benchmark: Any
) -> None:
    contenders = workload.build(world)
    if name not in contenders:
        pytest.skip(f"{name} is not installed")
    contender = contenders[name]
    check_same_work(workload, {OURS: contenders[OURS], name: contender})
    benchmark.group = f"{workload.group}: {workload.name}"
    if isinstance(contender, Deferred):
        contender = contender.made
    if not isinstance(contender, Timed):
        # The figure is in the JSON; what is timed here is the child process that finds it.
        benchmark.extra_info["figure"] = contender.sample(0)
        benchmark.pedantic(contender.call)
        return
    before = contender.before or (lambda: None)
    benchmark.extra_info["operations"] = contender.operations
    benchmark.pedantic(
        contender.work, setup=lambda: before() and None, rounds=_ROUNDS, warmup_rounds=1
    )
