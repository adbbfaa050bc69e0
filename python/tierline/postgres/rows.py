"""Rows: what a statement makes of a result, by the Rust core or by the driver's loaders."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.abc import Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

from tierline._core import RowDecoder
from tierline.errors import DecodeError
from tierline.postgres.codecs import MakeRow
from tierline.sql import Statement

_GC_PAUSE_ROWS = 1000

# What the core raises of a row that cannot be made.
_UNREADABLE = (ValueError, TypeError, KeyError, msgspec.MsgspecError, psycopg.Error)


class Reading(NamedTuple):
    """How the rows of one statement are read: by the decoder, if there is one."""

    statement: Statement
    transformer: Transformer
    make_row: MakeRow
    decoder: RowDecoder | None
    oids: list[int]


def reads_alike(one: Statement, other: Statement) -> bool:
    """Whether rows of the same text are made into the same."""
    return (
        one.shape == other.shape
        and one.into is other.into
        and one.columns == other.columns
        and one.by_name == other.by_name
        and (one.table is other.table or one.shape != "entity")
    )


def types_of(result: PGresult) -> list[int]:
    """The object identifiers of a result's columns."""
    return [result.ftype(n) for n in range(result.nfields)]


def read_rows(reading: Reading, result: PGresult, nothing: PGresult) -> list[Any] | None:
    """What is made of a result's rows; None if its columns are not those that were learnt.

    Args:
        reading: How to read it.
        result: A result of the reading's statement.
        nothing: A result without rows, for the driver to hold on to instead.

    Raises:
        DecodeError: A column does not fit what it is read into.
    """
    if result.ntuples < _GC_PAUSE_ROWS:
        return _read_rows(reading, result, nothing)
    with _gc_paused():
        return _read_rows(reading, result, nothing)


def _read_rows(reading: Reading, result: PGresult, nothing: PGresult) -> list[Any] | None:
    if reading.decoder is not None:
        try:
            return reading.decoder.decode(result)
        except _UNREADABLE:
            # The driver's loaders find the same again, and say of which column.
            pass
    elif types_of(result) != reading.oids:
        return None
    return load_rows(reading, result, nothing)


def load_rows(reading: Reading, result: PGresult, nothing: PGresult) -> list[Any]:
    """The same by the driver's loaders.

    Raises:
        DecodeError: A column does not fit what it is read into.
    """
    statement, transformer, make_row = reading.statement, reading.transformer, reading.make_row
    transformer.set_pgresult(result, set_loaders=False)
    try:
        return transformer.load_rows(0, result.ntuples, make_row)
    except psycopg.DataError as error:
        raise _undecodable(statement, transformer, result, error) from error
    except (ValueError, TypeError) as error:
        # A Struct's own `__post_init__` refused the row.
        raise DecodeError(
            f"a row does not make {statement.into.__name__}: {error}",
            operation=statement.operation,
            table=statement.table_name,
        ) from error
    finally:
        # Let go of the rows. Not with None: psycopg would forget the loaders too.
        transformer.set_pgresult(nothing, set_loaders=False)


@contextmanager
def _gc_paused() -> Generator[None]:
    """Building many objects at once makes the cyclic collector run often and find nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _undecodable(
    statement: Statement, transformer: Transformer, result: PGresult, error: psycopg.DataError
) -> DecodeError:
    """Find the column whose value could not be loaded, to name it."""
    found: tuple[str, ...] = ()
    for row in range(result.ntuples):
        for position in range(result.nfields):
            value = result.get_value(row, position)
            if value is None:
                continue
            try:
                transformer.get_loader(result.ftype(position), Format.BINARY).load(value)
            except psycopg.DataError:
                found = (_name_of(statement, result, position),)
                break
        if found:
            break
    return DecodeError(
        f"a value of column {', '.join(found)} has no Python form: {error}",
        operation=statement.operation,
        table=statement.table_name,
        columns=found,
    )


def _name_of(statement: Statement, result: PGresult, position: int) -> str:
    if statement.by_name:
        return (result.fname(position) or b"").decode(errors="replace")
    return statement.columns[position].name
