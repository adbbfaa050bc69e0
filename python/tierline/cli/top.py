"""`tierline top`: what running stores do, as a page that is drawn again every two seconds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

import msgspec

from tierline.cli.top_servers import Servers
from tierline.cli.top_sources import UnreachableError
from tierline.cli.top_stores import Stores

_HOME_AND_CLEAR = "\x1b[H\x1b[J"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_POSTGRES = ("postgresql", "postgres")

Sleep: TypeAlias = Callable[[float], None]


class Source(Protocol):
    """Where a page comes from."""

    def look(self) -> tuple[object, str]:
        """What there is now, as data and as text.

        Raises:
            UnreachableError: It cannot be asked.
        """
        ...

    def close(self) -> None:
        """Leave it alone."""
        ...


def run(url: str, *, prefix: str, interval_s: float, once: bool, as_json: bool) -> int:
    """Show a page until Ctrl-C, or once; answers with the process's exit code."""
    if not interval_s > 0:
        print("--interval is a positive number of seconds.", file=sys.stderr)
        return 2
    try:
        source = _source(url, prefix)
    except ValueError:
        # The text may quote the URL with its password.
        print(
            "The URL cannot be read: give redis://…, redis+sentinel://…, redis+cluster://… or postgresql://…",
            file=sys.stderr,
        )
        return 2
    try:
        return show(source, interval_s=interval_s, once=once, as_json=as_json)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read the pipe has gone; nothing is to be said when the process ends either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        source.close()


def show(
    source: Source, *, interval_s: float, once: bool, as_json: bool, sleep: Sleep = time.sleep
) -> int:
    """Draw pages of a source."""
    is_drawn = sys.stdout.isatty() and not (once or as_json)
    if is_drawn:
        sys.stdout.write(_HIDE_CURSOR)
    try:
        while True:
            code = _draw(source, as_json=as_json, before=_HOME_AND_CLEAR if is_drawn else "")
            if once:
                return code
            sleep(interval_s)
    finally:
        if is_drawn:
            sys.stdout.write(_SHOW_CURSOR)
            sys.stdout.flush()


def _draw(source: Source, *, as_json: bool, before: str) -> int:
    try:
        data, text = source.look()
    except UnreachableError as error:
        # A server that is away may come back, so a page that stays open goes on asking.
        print(f"{before}{error}", file=sys.stdout if before else sys.stderr, flush=True)
        return 1
    shown = msgspec.json.encode(data).decode() if as_json else text
    print(f"{before}{shown}", flush=True)
    return 0


def _source(url: str, prefix: str) -> Source:
    if urlsplit(url).scheme in _POSTGRES:
        return Servers(url)
    return Stores(url, prefix)
