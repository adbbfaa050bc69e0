"""What `query.sql` shows: the text, with the parameters' types in place of their values."""

from __future__ import annotations

from typing import Any

from tierline.query.parameters import Param
from tierline.sql.statement import Statement


def shown(statement: Statement, values: tuple[Any, ...] = ()) -> str:
    """The statement's text and, in a comment, its parameters' types; no value.

    Args:
        statement: What is shown.
        values: Where they are parameters to be given, their names are shown.
    """
    names = [f" {value.name}" if isinstance(value, Param) else "" for value in values]
    names += [""] * (len(statement.parameters) - len(names))
    types = ", ".join(
        f"${n}{name}: {type_.sql}"
        for n, (type_, name) in enumerate(zip(statement.parameters, names, strict=True), 1)
    )
    return f"{statement.sql}\n-- {types}" if types else statement.sql
