"""Rows before and after a write, as caches hear of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

Row: TypeAlias = Mapping[str, Any]
"""A row by its columns' SQL names, with the values that entities hold; those that are not known
are left out, so that the empty one is any row."""


class RowChange(msgspec.Struct, frozen=True):
    """One row before and after a write.

    Attributes:
        old: The row before, as far as it is known; None if there was none.
        new: The row after; None if there is none.
    """

    old: Row | None
    new: Row | None
