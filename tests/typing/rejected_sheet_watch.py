"""Mistakes with watching sheets that both type checkers must find; never run."""

from __future__ import annotations

import msgspec

import tierline as tl


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str


BIRDS = tl.sheet("1AbC", "Birds", Bird, key=lambda b: b.id)
TABLE = tl.table(Bird, name="birds", key=lambda b: b.id)


def of_names(event: tl.Changed[str]) -> None:
    assert event.new


def writing(event: tl.Changed[Bird]) -> tl.Write | None:
    return None if event.new is None else tl.upsert(TABLE, event.new)


def watching(sheets: tl.SheetStore) -> None:
    sheets.watch(TABLE, print)  # rejected
    sheets.watch(BIRDS)  # rejected
    sheets.watch(BIRDS, of_names)  # rejected
    sheets.watch(BIRDS, writing)  # rejected
    sheets.watch(BIRDS, print, 10)  # rejected
    sheets.watch(BIRDS, print, every_s="10")  # rejected
    sheets.watch(BIRDS, print, on_error="log")  # rejected
    sheets.watch(BIRDS, print, known=["owl"])  # rejected
    sheets.watch(BIRDS, print, address=443)  # rejected
    sheets.watch(BIRDS, print).close()  # rejected
    sheets.notified()  # rejected
    sheets.notified("X-Goog-Channel-ID")  # rejected


def watched(watch: tl.SheetWatch[Bird]) -> None:
    watch.wait("1")  # rejected
    watch.rows.append("owl")  # rejected
    watch.error = None  # rejected
