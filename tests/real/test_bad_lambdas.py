"""Lambdas that say nothing, or what cannot be traced: a TypeError that names the replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.real.helpers import ITEMS, Item

import tierline as tl


@pytest.mark.parametrize(
    "order_by", [lambda i: None, lambda i: (), lambda i: 7, lambda i: ("id",), lambda i: [i.id]]
)
def test_ordering_by_nothing_is_a_type_error(
    stock: tl.Repository[Item, int], order_by: Callable[[Item], Any]
) -> None:
    with pytest.raises(TypeError, match="return a field"):
        tl.select(ITEMS, order_by=order_by)
    with pytest.raises(TypeError, match="return a field"):
        stock.list(order_by=order_by)


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        (lambda i: i.id > 1 and i.id < 5, "&"),
        (lambda i: i.id > 1 or i.id < 5, r"\|"),
        (lambda i: not i.id > 1, "tl.not_"),
        (lambda i: i.id in (1, 2), "tl.is_in"),
        (lambda i: i.id in {1, 2}, "tl.is_in"),
        (lambda i: "x" in i.sku, "tl.contains"),
        (lambda i: 1 < i.id < 5, r"\(a < b\) & \(b < c\)"),
        (lambda i: bool(i.id), "truth value"),
        (lambda i: ~(i.id > 1), "tl.not_"),
        (lambda i: i.note == None, "tl.is_null"),  # noqa: E711
        (lambda i: True, "comparison of fields"),
        (lambda i: i.id, "conditions"),
        (lambda i: i.id & i.quantity, "parentheses"),
        (lambda i: i.id == "1", "does not fit"),
        (lambda i: len(i.sku) > 3, "len"),
        (lambda i: f"{i.sku}" == "x", "f-string"),
    ],
)
def test_what_cannot_be_traced_is_a_type_error_that_names_the_replacement(
    where: Callable[[Item], Any], advice: str
) -> None:
    with pytest.raises(TypeError, match=advice):
        tl.select(ITEMS, where=where)


def test_an_unknown_field_in_a_lambda_suggests_the_known_one() -> None:
    with pytest.raises(AttributeError, match="did you mean 'quantity'"):
        tl.select(ITEMS, where=lambda i: i.quantitty > 1)  # type: ignore[attr-defined]
