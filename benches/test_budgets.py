"""The verdicts themselves: what holds, what misses, and what is said where nothing was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

import budgets
from measure import Contender, Timed, interleave
from workload import (
    OURS,
    QUICK,
    Budget,
    Workload,
    above_by_at_most,
    at_most,
    faster_than,
    no_more_than,
    shown_against,
    workload,
)
from world import World


class Fixed:
    """A contender of a known figure."""

    def __init__(self, seconds: float, answer: object = None) -> None:
        self._seconds = seconds
        self._answer = answer

    def sample(self, slice_s: float) -> float:
        """The figure."""
        del slice_s
        return self._seconds

    def call(self) -> object:
        """The answer."""
        return self._answer

    def answer(self) -> object:
        """The answer."""
        return self._answer


def _workload(*held: Budget, **contenders: Fixed) -> Workload:
    def build(_world: World) -> Mapping[str, Contender]:
        return {name.replace("ours", OURS): contender for name, contender in contenders.items()}

    return workload("l1", "example", "us", *held)(build)


def _holds(budget: Budget, ours_us: float, **peers_us: float) -> bool | None:
    peers = {name: Fixed(us * 1e-6) for name, us in peers_us.items()}
    [result] = _workload(budget, ours=Fixed(ours_us * 1e-6), **peers).run(World(), QUICK)
    return result.holds


def test_a_ratio_holds_up_to_its_limit() -> None:
    assert _holds(at_most(2.0, "peer"), 4, peer=2) is True
    assert _holds(at_most(2.0, "peer"), 4.1, peer=2) is False


def test_faster_than_compares_with_the_fastest_and_does_not_allow_a_tie() -> None:
    assert _holds(faster_than("a", "b"), 1, a=2, b=3) is True
    assert _holds(faster_than("a", "b"), 2, a=2, b=3) is False
    assert _holds(faster_than("a", "b"), 2.5, a=2, b=3) is False


def test_an_excess_is_counted_in_units_above_the_peer() -> None:
    assert _holds(above_by_at_most(4.0, "peer"), 33, peer=30) is True
    assert _holds(above_by_at_most(4.0, "peer"), 35, peer=30) is False


def test_an_absolute_budget_needs_no_peer() -> None:
    assert _holds(no_more_than(75), 75) is True
    assert _holds(no_more_than(75), 76) is False


def test_without_the_peer_there_is_no_verdict() -> None:
    assert _holds(at_most(2.0, "peer"), 4) is None


def test_a_figure_without_a_budget_is_shown_and_not_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contenders = {"ours": Fixed(3e-6), "peer": Fixed(2e-6), "other": Fixed(5e-6)}
    shown = _workload(shown_against("peer"), **contenders)
    held = _workload(at_most(1.6, "peer"), **contenders)
    monkeypatch.setattr(budgets, "WORKLOADS", (replace(shown, beside=("other",)), held))
    assert budgets.main([]) == 0
    printed = capsys.readouterr().out
    assert "shown  1.50 x peer, other 2.50\n" in printed
    assert "1 of 1 budgets hold" in printed


def test_a_contender_that_does_other_work_is_refused() -> None:
    other = _workload(at_most(1.0, "peer"), ours=Fixed(1, "a row"), peer=Fixed(1, "no row"))
    with pytest.raises(AssertionError, match="peer answers 'no row'"):
        other.run(World(), QUICK)


def test_every_contender_is_sampled_in_every_round() -> None:
    order: list[str] = []
    contenders = {
        name: Timed(partial(order.append, name), 1, lambda: None, before=lambda: None)
        for name in ("a", "b")
    }
    samples = interleave(contenders, rounds=(2, 2), seconds=0, slice_s=0.001)
    assert [len(found) for found in samples.values()] == [2, 2]
    # The first time it is run once more, to warm up.
    assert order == ["a", "a", "b", "b", "b", "a"]


def test_a_broken_benchmark_is_reported_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def build(_world: World) -> Mapping[str, Contender]:
        raise RuntimeError("no server")

    broken = workload("l1", "broken", "us", at_most(1.0, "peer"))(build)
    whole = _workload(at_most(1.0, "peer"), ours=Fixed(1), peer=Fixed(2))
    monkeypatch.setattr(budgets, "WORKLOADS", (broken, whole))
    found = tmp_path / "results.json"
    assert budgets.main(["--quick", "--json", str(found)]) == 0
    assert "RuntimeError: no server" in capsys.readouterr().out
    results = msgspec.json.decode(found.read_bytes())
    assert [(result["name"], result["holds"]) for result in results] == [
        ("broken", None),
        ("example", True),
    ]
    found_one = {name: results[1][name] for name in ("group", "ours", "peers", "ratio", "budget")}
    assert found_one == {
        "group": "l1",
        "ours": pytest.approx(1e6),
        "peers": {"peer": pytest.approx(2e6)},
        "ratio": pytest.approx(0.5),
        "budget": 1.0,
    }


def test_groups_are_those_of_the_design() -> None:
    groups = dict.fromkeys(workload.group for workload in budgets.WORKLOADS)
    assert list(groups) == ["l1", "l2", "l3", "bulk", "import", "sheets"]


def test_a_name_that_nothing_has_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert budgets.main(["--only", "no such benchmark"]) == 2
    assert "get_by_id from L3" in capsys.readouterr().out


def test_a_file_in_no_folder_is_misuse_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_info:
        budgets.main(["--json", str(tmp_path / "missing" / "results.json")])
    assert exit_info.value.code == 2
