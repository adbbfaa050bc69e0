"""Policies: who is right where both sides have changed a cell.

A policy is a pure function from a `Conflict` to a verdict, so anybody can write one:

    lambda conflict: "sheet" if conflict.field == "note" else "database"

Whatever it answers, the conflict is reported with it. There is no "newest wins": a spreadsheet does
not say when a cell was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from tierline.entity import Table
from tierline.sync.cells import Cell
from tierline.sync.rows import Conflict


class Take(NamedTuple):
    """The verdict that both sides get this.

    Attributes:
        cell: The canonical cell.
    """

    cell: Cell


Verdict: TypeAlias = Literal["sheet", "database", "wait"] | Take
"""The side that is right; "wait" leaves both as they are until somebody decides; `Take(cell)`."""

Policy: TypeAlias = Callable[[Conflict], Verdict]
"""A pure function: the same conflict has the same verdict, however often it is asked."""


def sheet_wins(conflict: Conflict) -> Verdict:
    """The sheet is right."""
    del conflict
    return "sheet"


def database_wins(conflict: Conflict) -> Verdict:
    """The database is right."""
    del conflict
    return "database"


def manual(conflict: Conflict) -> Verdict:
    """Nobody is right until a person has decided: the conflict waits in the queue."""
    del conflict
    return "wait"


class PerField(msgspec.Struct, frozen=True):
    """A policy that asks another one for each field; build it with `per_field`."""

    fields: dict[str, Policy]
    otherwise: Policy

    def __call__(self, conflict: Conflict) -> Verdict:
        """The verdict of the field's policy."""
        return self.fields.get(conflict.field, self.otherwise)(conflict)


def per_field(fields: Mapping[str, Policy], *, otherwise: Policy = manual) -> PerField:
    """A policy for each field.

    Args:
        fields: Field to policy.
        otherwise: The policy of the fields that are not named.

    Raises:
        TypeError: A policy is no function.

    Example:
        ``per_field({"price": database_wins, "note": sheet_wins})``
    """
    for policy in (*fields.values(), otherwise):
        check_policy(policy)
    return PerField(dict(fields), otherwise)


class Decided(msgspec.Struct, frozen=True):
    """A policy with decisions of people; build it with `decided`."""

    decisions: dict[str, Verdict]
    otherwise: Policy

    def __call__(self, conflict: Conflict) -> Verdict:
        """The decision on this very conflict, or the other policy's verdict."""
        found = self.decisions.get(conflict.token)
        return self.otherwise(conflict) if found is None else found


def decided(decisions: Mapping[str, Verdict], *, otherwise: Policy = manual) -> Decided:
    """A policy with what people have decided on queued conflicts.

    A decision holds for the values that the person saw: if one has changed since, the conflict is
    another one and waits anew.

    Args:
        decisions: A conflict's `token` to the verdict on it.
        otherwise: The policy of conflicts on which nobody has decided.

    Raises:
        TypeError: The policy is no function, or a decision is no verdict.
    """
    check_policy(otherwise)
    for verdict in decisions.values():
        checked(verdict)
    return Decided(dict(decisions), otherwise)


def check_policy(policy: object, table: Table[Any, Any] | None = None) -> None:
    """Refuse what is no policy, and fields that the table does not have.

    Raises:
        TypeError: It is no function, or it names a field that is not there.
    """
    if not callable(policy):
        raise TypeError(
            f"policy: {policy!r} is no function from a conflict to a verdict; take sheet_wins, "
            "database_wins, manual, per_field({…}) or a function of your own"
        )
    if isinstance(policy, PerField) and table is not None:
        unknown = sorted(policy.fields.keys() - table.by_field.keys())
        if unknown:
            raise TypeError(f"policy: {table.name} has no field {', '.join(unknown)}")


def checked(verdict: Verdict) -> Verdict:
    """The verdict of a policy.

    Raises:
        TypeError: It is none.
    """
    if isinstance(verdict, Take) or verdict in ("sheet", "database", "wait"):
        return verdict
    raise TypeError(
        f'policy: {verdict!r:.80} is no verdict; answer "sheet", "database", "wait" or Take(cell)'
    )
