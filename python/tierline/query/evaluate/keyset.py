"""Comparisons of rows, as pages make them."""

from __future__ import annotations

from tierline.query.evaluate.registry import Scope, compiled, evaluation
from tierline.query.evaluate.values import Read
from tierline.query.keyset import RowComparison, expanded


@evaluation(RowComparison)
def _(node: RowComparison, scope: Scope) -> Read:
    return compiled(expanded(node), scope)
