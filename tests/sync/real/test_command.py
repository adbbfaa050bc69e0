"""`tierline sync`: what it prints, and its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import ModuleType

import pytest
from tests.sync.real.places import Bird, Place

import tierline as tl
from tierline.cli import main


@pytest.fixture
def named(place: Place) -> Generator[list[str]]:
    """The options that name a pair and both sides."""
    module = sys.modules["shop_of_birds"] = ModuleType("shop_of_birds")
    module.PAIR = place.pair()  # type: ignore[attr-defined]
    module.CLIENT = place.server.client()  # type: ignore[attr-defined]
    module.OTHER = 5  # type: ignore[attr-defined]
    yield ["shop_of_birds:PAIR", "--sheets", "shop_of_birds:CLIENT"]
    del sys.modules["shop_of_birds"]


def test_it_syncs_and_tells(
    place: Place, pg_url: str, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    line = ["sync", *named, "--url", pg_url]
    assert main([*line, "--dry-run"]) == 0
    assert capsys.readouterr().out == "sheet: insert 1: name = 'heron', count = 3\n"
    assert place.in_sheet() == []
    assert main(line) == 0
    assert capsys.readouterr().out == "sheet: insert 1: name = 'heron', count = 3\n"
    assert place.in_sheet() == [[1, "heron", 3]]
    assert main(line) == 0
    assert capsys.readouterr().out == "nothing to do\n"


def test_conflicts_are_listed_and_decided(
    place: Place, pg_url: str, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place.birds.create(Bird(1, "heron", 3)).unwrap()
    line = ["sync", *named, "--url", pg_url]
    assert main(line) == 0
    place.type(C2=5)
    place.birds.update(tl.change(place.birds.get_by_id(1).unwrap(), count=4)).unwrap()
    assert main(line) == 3
    capsys.readouterr()
    assert main([*line, "--conflicts"]) == 3
    token, _, told = capsys.readouterr().out.partition("  ")
    assert told == "row 1, count: was 3, sheet 5, database 4; waits for a decision\n"
    assert main([*line, "--decide", f"{token}=sheet"]) == 0
    assert place.in_table() == [(1, "heron", 5)]
    assert main([*line, "--conflicts"]) == 0


def test_failures_end_with_one(
    place: Place, pg_url: str, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place.type(B1="nom")
    assert main(["sync", *named, "--url", pg_url]) == 1
    assert capsys.readouterr().err.startswith("SheetLayoutError: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["shop_of_birds"], "Write MODULE:NAME"),
        (["no_such_shop:PAIR"], "There is no module no_such_shop"),
        (["shop_of_birds:NOTHING"], "shop_of_birds has no NOTHING"),
        (["shop_of_birds:OTHER"], "is int, not what tl.sync"),
        (["shop_of_birds:PAIR", "--decide", "x=both"], "Write --decide"),
        (["shop_of_birds:PAIR", "--url", "postgresql:", "--path", "x"], "not both"),
        (["shop_of_birds:PAIR"], "Give --sheets"),
    ],
)
def test_misuse_ends_with_two(
    line: list[str],
    told: str,
    named: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    assert main(["sync", *line]) == 2
    assert told in capsys.readouterr().err
