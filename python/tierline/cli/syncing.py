"""`tierline sync`: make a sheet and a table equal, from a shell or a schedule."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

import tierline as tl

EQUAL, FAILED, MISUSED, WAITING = 0, 1, 2, 3


class MisuseError(Exception):
    """The command was called with what it cannot take; the text says what it takes."""


def run(options: argparse.Namespace) -> int:
    """Sync, or show what is asked for; answers with the process's exit code."""
    try:
        _check_place(options)
        pair = _pair(options.pair)
        decisions = _decisions(options.decide)
        credentials = _credentials(options.sheets)
    except MisuseError as misuse:
        print(misuse, file=sys.stderr)
        return MISUSED
    writes = not (options.dry_run or options.conflicts)
    sheets = (
        tl.connect_sheets(credentials, write=True, redis=options.redis)
        if writes
        else tl.connect_sheets(credentials, redis=options.redis)
    )
    if isinstance(sheets, tl.Failure):
        return _failed(sheets.failure())
    opened = tl.connect(options.url, path=options.path, sheets=sheets.unwrap())
    if isinstance(opened, tl.Failure):
        sheets.unwrap().close()
        return _failed(opened.failure())
    with opened.unwrap() as store:
        if options.conflicts:
            return _listed(store, pair)
        if decisions:
            decided = store.sync_decide(pair, decisions)
            if isinstance(decided, tl.Failure):
                return _failed(decided.failure())
        return _synced(store, pair, options)


def _synced(store: tl.Store, pair: tl.Sync[Any, Any], options: argparse.Namespace) -> int:
    shows = sys.stderr.isatty() and find_spec("rich") is not None
    if options.dry_run:
        planned = store.sync(pair, dry_run=True, resync=options.resync, progress=shows)
        if isinstance(planned, tl.Failure):
            return _failed(planned.failure())
        print(planned.unwrap())
        return EQUAL
    done = store.sync(pair, resync=options.resync, progress=shows)
    if isinstance(done, tl.Failure):
        return _failed(done.failure())
    report = done.unwrap()
    print(report)
    print(f"{report!r} in {report.took_s:.1f} s", file=sys.stderr)
    return WAITING if report.waiting else EQUAL


def _listed(store: tl.Store, pair: tl.Sync[Any, Any]) -> int:
    found = store.sync_conflicts(pair)
    if isinstance(found, tl.Failure):
        return _failed(found.failure())
    for one in found.unwrap():
        print(f"{one.token}  {one}")
    return WAITING if found.unwrap() else EQUAL


def _failed(error: tl.RepositoryError) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return FAILED


def _check_place(options: argparse.Namespace) -> None:
    if options.url and options.path:
        raise MisuseError("Give --url or --path, not both.")


def _pair(name: str) -> tl.Sync[Any, Any]:
    found = _named(name)
    if not isinstance(cast("object", found), tl.Sync):
        kind = type(found).__name__
        raise MisuseError(f"{name} is {kind}, not what tl.sync(SHEET, TABLE) makes.")
    pair: tl.Sync[Any, Any] = found
    return pair


def _named(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise MisuseError(f"Write MODULE:NAME, such as shop:BIRD_SYNC, not {name}.")
    # As `python -m` does: what is in the folder where the command is called.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        raise MisuseError(f"There is no module {error.name}; call it where {module} is.") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise MisuseError(f"{module} has no {attribute}.")
        found = getattr(found, part)
    return found


def _credentials(given: str | None) -> Any:
    if given is None:
        given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not given:
        raise MisuseError("Give --sheets with the service account's key file.")
    return _named(given) if ":" in given and not os.path.exists(given) else given  # noqa: PTH110


def _decisions(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        token, _, side = one.partition("=")
        if not token or side not in ("sheet", "database"):
            raise MisuseError(f"Write --decide TOKEN=sheet or TOKEN=database, not {one}.")
        found[token] = side
    return found
