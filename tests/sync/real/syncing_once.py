"""A process of `test_dying.py`: syncs once, and is killed on the way.

python -m tests.sync.real.syncing_once POSTGRES_URL SERVER_URL BOOK
"""

from __future__ import annotations

import sys

from tests.sync.real.places import BIRDS, QUOTA, BirdRow

import tierline as tl
from tierline.testing.sheets.client import new_client


def main(url: str, server: str, book: str) -> None:
    """Sync, and say so."""
    sheets = tl.open_sheets(new_client(server, None), write=True, quota=QUOTA)
    with tl.open(url, sheets=sheets) as store:
        sheet = tl.sheet(book, "Sheet1", BirdRow, key=lambda b: b.id)
        done = store.sync(tl.sync(sheet, BIRDS, policy=tl.sheet_wins))
        sys.stdout.write(f"{done!r}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
