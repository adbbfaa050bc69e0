"""`python -m tierline.testing.sheets`: serve until interrupted, with a page to look at."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from pathlib import Path

from tierline.testing.sheets.quotas import Quotas
from tierline.testing.sheets.server import SheetsServer


def main(arguments: list[str] | None = None) -> int:
    """Serve.

    Args:
        arguments: The command line; None for the process's.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tierline.testing.sheets",
        description="A local server for Google Sheets, on loopback, in memory.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port; a free one without it")
    parser.add_argument("--quotas", action="store_true", help="Google's limits a minute")
    parser.add_argument("--key", type=Path, help="write a service account's key to this file")
    parser.add_argument("--title", default="Example", help="the title of the first spreadsheet")
    options = parser.parse_args(arguments)
    with SheetsServer(port=options.port, quotas=Quotas() if options.quotas else None) as server:
        book_id = server.add_spreadsheet(options.title, [["id", "name"], [1, "heron"]])
        if options.key is not None:
            options.key.write_text(json.dumps(server.service_account(), indent=2), "utf-8")
        # Whoever reads this may interrupt from here on.
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdout.write(f"{server.url}\nspreadsheet {book_id}\n")
            sys.stdout.flush()
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
