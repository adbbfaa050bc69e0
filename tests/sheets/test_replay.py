"""The recorded traffic of gspread's tests, replayed; each deviation is listed with its reason."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from tests.sheets.deviations import DEVIATIONS
from tests.sheets.replay import Difference, Replay, Result, differences, interactions, replay

ROOT = Path(__file__).resolve().parents[2]
# The recordings are no part of the repository.
FOLDER = Path(
    os.environ.get("TIERLINE_RECORDINGS", ROOT.parent / "shared" / "data" / "sheets-recordings")
)
PATHS = sorted(FOLDER.glob("*.json"))


@cache
def result(path: Path) -> Result:
    return replay(path)


def reason(name: str, difference: Difference) -> str | None:
    """Why a difference is allowed, or None."""
    for (sequence, request), why in DEVIATIONS.items():
        told = difference.request.replace("https://www.googleapis.com", "")
        if sequence == name and request in told:
            return why
    return None


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_the_server_answers_as_recorded(path: Path) -> None:
    found = result(path)
    assert found.responses > 0
    assert [one for one in found.differences if reason(found.name, one) is None] == []


@pytest.mark.skipif(not PATHS, reason="there is no folder of recordings: set TIERLINE_RECORDINGS")
def test_at_least_95_percent_of_the_responses_are_equal() -> None:
    results = [result(path) for path in PATHS]
    responses = sum(one.responses for one in results)
    different = sum(len({d.index for d in one.differences}) for one in results)
    assert len(results) == 83
    assert responses > 1500
    assert different / responses < 0.05


@pytest.mark.skipif(not PATHS, reason="there is no folder of recordings: set TIERLINE_RECORDINGS")
def test_no_deviation_outlives_its_reason() -> None:
    used = {
        (sequence, request)
        for sequence, request in DEVIATIONS
        for path in PATHS
        if path.stem == sequence
        for one in result(path).differences
        if request in one.request.replace("https://www.googleapis.com", "")
    }
    assert used == set(DEVIATIONS)


@pytest.mark.skipif(not PATHS, reason="there is no folder of recordings: set TIERLINE_RECORDINGS")
def test_the_replay_finds_a_response_that_differs() -> None:
    path = next(path for path in PATHS if path.stem == "WorksheetTest.test_update_cell")
    recorded = interactions(path)
    index = next(i for i, one in enumerate(recorded) if '"42.01"' in one.answer)
    recorded[index] = recorded[index]._replace(
        answer=recorded[index].answer.replace("42.01", "42.02")
    )
    assert [one.index for one in Replay().run(recorded)] == [index]


def test_differences_are_found_wherever_they_are() -> None:
    recorded = {"a": [1, {"b": "x"}], "c": 0, "e": True}
    ours = {"a": [1, {"b": "y"}], "d": 0, "e": 1}
    assert {path for path, _, _ in differences(recorded, ours)} == {".a[1].b", ".c", ".d", ".e"}
    assert list(differences([1], [1, 2])) == [("", [1], [1, 2])]
