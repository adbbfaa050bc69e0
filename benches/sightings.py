"""The worksheet of the benchmarks, and a server for it in a process of its own."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import gspread
import msgspec

import tierline as tl
from tierline.testing.sheets.client import new_client

ROW_COUNT = 50_000
_WRITTEN_AT_ONCE = 10_000
_TITLE = "Sightings"
_STOP_WAIT_S = 10.0
_DAY_ONE = dt.date(2026, 1, 1)


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """The entity: the kinds of columns that worksheets have most."""

    id: int
    code: str
    bird: str
    seen: dt.date
    count: int
    weight: float
    ratio: float
    adult: bool
    ring: int | None
    note: str | None


HEADER = [field.name for field in msgspec.structs.fields(Sighting)]


def _sightings() -> list[Sighting]:
    return [
        Sighting(
            n,
            f"{n % 997:03}",
            f"heron number {n}",
            _DAY_ONE + dt.timedelta(days=n % 365),
            n % 40,
            n % 7919 / 100,
            n % 104729 / 10000,
            n % 3 == 0,
            None if n % 10 == 0 else n * 7,
            f"seen from hide {n % 12}" if n % 4 == 0 else None,
        )
        for n in range(1, ROW_COUNT + 1)
    ]


class Served:
    """A Sheets server in a process of its own, so that what it does is no work of the client's."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tierline.testing.sheets"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None, "it was asked for"
        self.url = self._process.stdout.readline().strip()
        self.client = new_client(self.url, None)
        self.worksheet = _filled(self.client)
        self.sheet = tl.sheet(self.worksheet.spreadsheet_id, _TITLE, Sighting, key=lambda s: s.id)

    def close(self) -> None:
        """Stop the server."""
        self.client.http_client.session.close()
        self._process.terminate()
        self._process.wait(_STOP_WAIT_S)
        assert self._process.stdout is not None, "it was asked for"
        self._process.stdout.close()


def _filled(client: gspread.Client) -> gspread.Worksheet:
    """A worksheet that holds the sightings; texts are texts, and dates are dates."""
    rows: list[list[Any]] = [
        [
            s.id, f"'{s.code}", s.bird, s.seen.isoformat(), s.count, s.weight, s.ratio, s.adult,
            "" if s.ring is None else s.ring, "" if s.note is None else s.note,
        ]
        for s in _sightings()
    ]  # fmt: skip
    width = len(HEADER)
    worksheet = client.create("Birds").add_worksheet(_TITLE, ROW_COUNT + 1, width)
    worksheet.update([HEADER], "A1")
    for at in range(0, ROW_COUNT, _WRITTEN_AT_ONCE):
        part = rows[at : at + _WRITTEN_AT_ONCE]
        worksheet.update(part, f"A{at + 2}", raw=False)
    return worksheet
