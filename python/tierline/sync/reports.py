"""What a sync came to, and what is told while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from returns.result import Failure, Success

from tierline.errors import ConfigurationError, RepositoryError
from tierline.sync.changes import Decision, Note
from tierline.sync.plan import Plan

Stage: TypeAlias = Literal["recover", "read sheet", "read table", "write table", "write sheet"]


class SyncProgress(NamedTuple):
    """What a sync is about to do, or has read.

    Attributes:
        stage: Which part of a pass.
        rows: How many rows it is about.
    """

    stage: Stage
    rows: int


Tell: TypeAlias = Callable[[SyncProgress], object]
Progress: TypeAlias = bool | Tell
"""True shows a bar; a function is called with each `SyncProgress`."""


class SyncReport(msgspec.Struct, frozen=True):
    """What a sync came to; `str` tells it line by line.

    Attributes:
        plans: What each pass has done; one that brings new rows of the sheet their ids is followed
            by another, which inserts them.
        resumed: What had become of an operation that a crash or a lost answer left behind.
        took_s: Seconds that it took.
    """

    plans: tuple[Plan, ...]
    resumed: Literal["landed", "never"] | None
    took_s: float

    @property
    def conflicts(self) -> tuple[Decision, ...]:
        """Every conflict, with the verdict on it."""
        found = {one.conflict.token: one for plan in self.plans for one in plan.decisions}
        return tuple(found.values())

    @property
    def waiting(self) -> tuple[Decision, ...]:
        """The conflicts on which somebody has to decide; see `store.sync_conflicts`."""
        return self.plans[-1].waiting if self.plans else ()

    @property
    def notes(self) -> tuple[Note, ...]:
        """What people may want to know."""
        return tuple(dict.fromkeys(note for plan in self.plans for note in plan.notes))

    def __str__(self) -> str:
        lines = [
            str(plan) for plan in self.plans if plan.decisions or plan.notes or not plan.is_empty
        ]
        return "\n".join(lines) or "nothing to do"

    def __repr__(self) -> str:
        counts: Counter[str] = Counter()
        for plan in self.plans:
            counts["ids"] += len(plan.births)
            for name, side in (("sheet", plan.sheet), ("database", plan.database)):
                counts[f"{name} inserts"] += len(side.inserts)
                counts[f"{name} updates"] += len(side.updates)
                counts[f"{name} deletes"] += len(side.deletes)
        counts["conflicts"] = len(self.conflicts)
        counts["waiting"] = len(self.waiting)
        counts["notes"] = len(self.notes)
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        resumed = "" if self.resumed is None else f", resumed what had {self.resumed}"
        return f"<SyncReport: {told or 'nothing to do'}{resumed}>"


def shown(progress: Progress) -> Success[AbstractContextManager[Tell]] | Failure[RepositoryError]:
    """What tells of the progress."""
    if progress is not True:
        return Success(_told(progress or (lambda _: None)))
    if find_spec("rich") is None:
        return Failure(
            ConfigurationError(
                "progress=True shows a bar with rich, which is not here: run pip install rich, or "
                "give a function",
                operation="sync",
            )
        )
    return Success(_bar())


@contextmanager
def _told(function: Tell) -> Generator[Tell]:
    yield function


@contextmanager
def _bar() -> Generator[Tell]:
    rich: Any = import_module("rich.progress")
    console: Any = import_module("rich.console").Console(stderr=True)
    with rich.Progress(
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description:>12} {task.fields[rows]:,} rows"),
        rich.TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task("begin", total=None, rows=0)
        yield lambda now: bars.update(task, description=now.stage, rows=now.rows)
