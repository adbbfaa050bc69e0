"""Pages to statements, and the cursors that lead from one page to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tierline.query.cursors import origin_of, read_cursor, write_cursor
from tierline.query.keyset import RowComparison
from tierline.query.paging import Keyed, Keys, Page, PageQuery, keys_of, window
from tierline.query.parameters import Bind, binder
from tierline.query.query import Query
from tierline.sql.compile import compile_query
from tierline.sql.expressions import Parameters, collated, register, render
from tierline.sql.statement import Compiled


class Ordered(NamedTuple):
    """A query's ordering, and what its cursors are bound to.

    Attributes:
        keys: The ordering.
        statement: The name of the query's statement.
        bind: Makes the statement's values of the parameters.
    """

    keys: Keys
    statement: bytes
    bind: Bind


class Bookmarks(NamedTuple):
    """What the cursors of a query's pages are signed with."""

    origin: bytes
    secret: bytes

    def page(self, page: PageQuery[Any], rows: list[Keyed]) -> Page[Any]:
        """The page made of what its statement answered with."""
        more = len(rows) > page.size
        kept = rows[: page.size]
        if page.before is not None:
            kept.reverse()
        backward = page.before is not None
        has_next, has_previous = (True, more) if backward else (more, page.after is not None)
        ends = [write_cursor(row.keys, *self) for row in (kept[-1], kept[0])] if kept else []
        return Page(
            [row.item for row in kept],
            ends[0] if ends and has_next else None,
            ends[1] if ends and has_previous else None,
        )


class Opened(NamedTuple):
    """A page whose cursor was read.

    Attributes:
        keys: The ordering of its query.
        values: What the row beside the page is ordered by; None for the first page.
        bookmarks: Makes the cursors of the pages around it.
    """

    keys: Keys
    values: tuple[Any, ...] | None
    bookmarks: Bookmarks


def open_page(page: PageQuery[Any], secret: bytes, parameters: Mapping[str, object]) -> Opened:
    """Read a page's cursor.

    Args:
        page: What is asked.
        secret: Signs cursors.
        parameters: Given by name; cursors are bound to them.

    Raises:
        ValidationError: The page's cursor is not one of this query with these values.
        TypeError: A parameter is missing, unknown or of another type.
    """
    ordered = _ordered(page.query)
    bookmarks = Bookmarks(origin_of(ordered.statement, ordered.bind(parameters)), secret)
    cursor = page.before if page.after is None else page.after
    values = None if cursor is None else read_cursor(cursor, ordered.keys.ordering, *bookmarks)
    return Opened(ordered.keys, values, bookmarks)


def compile_page(
    page: PageQuery[Any], secret: bytes, parameters: Mapping[str, object]
) -> tuple[Compiled, Bookmarks]:
    """The statement that answers a page with one row more than it has, and what its cursors need.

    The arguments and what it raises as for `open_page`.
    """
    keys, values, bookmarks = open_page(page, secret, parameters)
    return compile_query(window(page, keys, values), "fetch_page"), bookmarks


def _ordered(query: Query[Any]) -> Ordered:
    # A query is an inert value; like `cached_property`, this remembers what is derived from it.
    memo: dict[str, Any] = vars(query)
    found: Ordered | None = memo.get("_ordered")
    if found is None:
        keys = keys_of(query)
        whole = msgspec.structs.replace(query, order_by=keys.ordering)
        statement, values = compile_query(whole, "fetch_page")
        found = memo["_ordered"] = Ordered(keys, statement.name, binder(values))
    return found


@register
def _(node: RowComparison, parameters: Parameters) -> str:
    left = ", ".join([render(operand, parameters) for operand in node.left])
    right = ", ".join([collated(render(it, parameters), it.type) for it in node.right])
    return f"(({left}) {node.operator} ({right}))"
