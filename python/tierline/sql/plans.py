"""EXPLAIN as a value: the statement that asks for a plan, and the plan it answers with."""

from __future__ import annotations

import html
from collections.abc import Iterator

import msgspec

from tierline.entity.types import scalar_type
from tierline.sql.statement import Compiled, ResultColumn, Statement


class PlanNode(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan; its own steps come first.

    Attributes:
        kind: What it does, such as `Seq Scan` or `Hash Join`.
        rows: How many rows the planner expects.
        width: How many bytes a row is expected to have.
        startup_cost: The planner's cost before the first row.
        total_cost: The planner's cost for all rows.
        actual_rows: Rows it had, a loop; only where the statement was run.
        actual_ms: Milliseconds it took, a loop, with the steps below it.
        loops: How often it was run.
        rows_removed: Rows that its filter removed, a loop.
        join: Of a join, which kind.
        strategy: Of an aggregate, which way.
        table: The table it reads.
        alias: The table's name in the statement.
        index: The index it uses.
        index_condition: What is looked up in the index.
        condition: What a hash or merge join joins by.
        filter: Which of the rows are kept. Conditions may show parameters' values.
        sort_key: What it sorts by.
        group_key: What it groups by.
        steps: What it gets its rows from.
    """

    kind: str = msgspec.field(name="Node Type")
    rows: float = msgspec.field(name="Plan Rows")
    width: int = msgspec.field(name="Plan Width")
    startup_cost: float = msgspec.field(name="Startup Cost")
    total_cost: float = msgspec.field(name="Total Cost")
    actual_rows: float | None = msgspec.field(name="Actual Rows", default=None)
    actual_ms: float | None = msgspec.field(name="Actual Total Time", default=None)
    loops: float | None = msgspec.field(name="Actual Loops", default=None)
    rows_removed: float | None = msgspec.field(name="Rows Removed by Filter", default=None)
    join: str | None = msgspec.field(name="Join Type", default=None)
    strategy: str | None = msgspec.field(name="Strategy", default=None)
    table: str | None = msgspec.field(name="Relation Name", default=None)
    alias: str | None = msgspec.field(name="Alias", default=None)
    index: str | None = msgspec.field(name="Index Name", default=None)
    index_condition: str | None = msgspec.field(name="Index Cond", default=None)
    hash_condition: str | None = msgspec.field(name="Hash Cond", default=None)
    merge_condition: str | None = msgspec.field(name="Merge Cond", default=None)
    filter: str | None = msgspec.field(name="Filter", default=None)
    sort_key: tuple[str, ...] = msgspec.field(name="Sort Key", default=())
    group_key: tuple[str, ...] = msgspec.field(name="Group Key", default=())
    steps: tuple[PlanNode, ...] = msgspec.field(name="Plans", default=())

    @property
    def condition(self) -> str | None:
        """What a hash or merge join joins by."""
        return self.hash_condition or self.merge_condition

    def walk(self) -> Iterator[PlanNode]:
        """This step and all below it."""
        yield self
        for step in self.steps:
            yield from step.walk()

    def __repr__(self) -> str:
        return "\n".join(_lines(self))


class Plan(msgspec.Struct, frozen=True):
    """How PostgreSQL runs a statement.

    Attributes:
        root: The last step, whose rows are the answer.
        planning_ms: Milliseconds spent on planning; only where the statement was run.
        execution_ms: Milliseconds spent on running it.
    """

    root: PlanNode = msgspec.field(name="Plan")
    planning_ms: float | None = msgspec.field(name="Planning Time", default=None)
    execution_ms: float | None = msgspec.field(name="Execution Time", default=None)

    def __repr__(self) -> str:
        lines = [repr(self.root)]
        if self.planning_ms is not None:
            lines.append(f"planned in {self.planning_ms:.2f} ms")
        if self.execution_ms is not None:
            lines.append(f"run in {self.execution_ms:.2f} ms")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def compile_explain(compiled: Compiled, *, analyze: bool) -> Compiled:
    """The statement that asks how another is run.

    Args:
        compiled: The other.
        analyze: Whether it is run to see.
    """
    told = compiled.statement
    options = "ANALYZE, FORMAT JSON" if analyze else "FORMAT JSON"
    statement = Statement(
        "explain",
        f"EXPLAIN ({options}) {told.sql}",
        told.parameters,
        told.table,
        (ResultColumn("plan", _PLANS),),
        "scalar",
    )
    return Compiled(statement, compiled.values)


_PLANS = scalar_type("jsonb", tuple[Plan])


def _lines(node: PlanNode) -> Iterator[str]:
    yield f"{_title(node)}  {_figures(node)}"
    details = {
        "index": node.index_condition,
        "join": node.condition,
        "filter": node.filter,
        "sort": ", ".join(node.sort_key),
        "group": ", ".join(node.group_key),
    }
    inner = "│ " if node.steps else "  "
    yield from (f"{inner}  {name}: {text}" for name, text in details.items() if text)
    for n, step in enumerate(node.steps, 1):
        last = n == len(node.steps)
        first, *others = _lines(step)
        yield f"{'└' if last else '├'}─ {first}"
        yield from (f"{'  ' if last else '│ '} {line}" for line in others)


def _title(node: PlanNode) -> str:
    parts = [node.kind]
    if node.join not in (None, "Inner"):
        parts.append(f"({node.join})")
    if node.index:
        parts.append(f"using {node.index}")
    if node.table:
        alias = f" {node.alias}" if node.alias not in (None, node.table) else ""
        parts.append(f"on {node.table}{alias}")
    return " ".join(parts)


def _figures(node: PlanNode) -> str:
    figures = f"rows={node.rows:g} cost={node.startup_cost:.2f}..{node.total_cost:.2f}"
    if node.actual_rows is None:
        return figures
    loops = f" loops={node.loops:g}" if node.loops not in (None, 1) else ""
    removed = f" removed={node.rows_removed:g}" if node.rows_removed else ""
    taken = "" if node.actual_ms is None else f" time={node.actual_ms:.3f} ms"
    return f"{figures} actual rows={node.actual_rows:g}{removed}{loops}{taken}"
