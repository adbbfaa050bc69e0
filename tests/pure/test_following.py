"""Tokens of one's own writes: merged, carried, refused when foreign."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import pytest

import tierline as tl
from tierline.postgres.following import last_write, note_write

HERE, THERE = "0" * 12, "f" * 12


def test_the_greatest_write_of_each_database_counts() -> None:
    # In a context of its own: other tests have written in this one.
    Context().run(_greatest_counts)


def _greatest_counts() -> None:
    with tl.read_after("tl1"):
        assert last_write(HERE) == 0
        note_write(HERE, 7)
        note_write(HERE, 5)
        note_write(THERE, 1 << 40)
        assert (last_write(HERE), last_write(THERE)) == (7, 1 << 40)
        token = tl.write_token()
    assert token == f"tl1.{HERE}-7.{THERE}-{1 << 40}"
    assert last_write(HERE) == 0
    note_outer = f"tl1.{HERE}-9"
    with tl.read_after(note_outer), tl.read_after(token):
        assert (last_write(HERE), last_write(THERE)) == (9, 1 << 40)
        with tl.read_after("tl1"):
            assert last_write(HERE) == 9, "an older token takes nothing back"


@pytest.mark.parametrize(
    "wrong", ["", "tl2", "tl1.x-1", f"tl1.{HERE}-", f"tl1.{HERE}--1", f"tl1.{HERE}-1\n", None, 7]
)
def test_what_is_no_token_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="no token"), tl.read_after(wrong):
        pass
