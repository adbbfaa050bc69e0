"""Tables of short texts, for terminals and for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Cells: TypeAlias = tuple[str, ...]
"""One line of a table."""


def as_text(table: Sequence[Cells]) -> str:
    """The lines in aligned columns, the first to the left; the first line is the heading."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def as_html(table: Sequence[Cells]) -> str:
    """The same for a notebook; no cell is taken for markup."""
    head = _row("th", table[0])
    body = "".join(_row("td", cells) for cells in table[1:])
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
