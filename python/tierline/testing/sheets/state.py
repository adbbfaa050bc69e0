"""What a server holds: spreadsheets, their files, changes and who may do what."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from tierline.testing.sheets.clock import Clock
from tierline.testing.sheets.defaults import new_properties
from tierline.testing.sheets.errors import (
    Json,
    drive_error,
    file_not_found,
    no_access,
    not_found,
)
from tierline.testing.sheets.files import File, may_write, permission
from tierline.testing.sheets.request import Context
from tierline.testing.sheets.spreadsheet import Sheet, Spreadsheet

_ID_LETTERS = string.ascii_letters + string.digits + "-_"
_T = TypeVar("_T")


class Change(NamedTuple):
    """A file changed, or was removed."""

    number: int
    file_id: str
    removed: bool
    time: str


class State:
    """The spreadsheets of a server. Its caller holds the lock.

    Args:
        clock: What stamps are taken from.
        seed: Ids are the same in every run of one seed.
        changed: Called after each change of a file.
    """

    def __init__(self, clock: Clock, seed: int, changed: Callable[[Change], None]) -> None:
        self.clock = clock
        self.random = random.Random(seed)  # noqa: S311 # ids, not secrets
        self.books: dict[str, Spreadsheet] = {}
        self.files: dict[str, File] = {}
        self.comments: dict[str, list[Json]] = {}
        self.changes: list[Change] = []
        self._changed = changed

    def new_id(self, length: int = 44) -> str:
        """An id as Drive gives them."""
        return "1" + "".join(self.random.choices(_ID_LETTERS, k=length - 1))

    def context(self, user: str) -> Context:
        """What a batch is run with."""
        return Context(user, self.random)

    def create(
        self,
        title: str,
        user: str,
        *,
        parents: tuple[str, ...] = (),
        book: Spreadsheet | None = None,
    ) -> Spreadsheet:
        """A new spreadsheet of a user: empty, or like another."""
        book_id = self.new_id()
        properties = (book.properties if book else new_properties()) | {"title": title}
        made = Spreadsheet(
            book_id,
            properties,
            book.sheets if book else (Sheet(0, "Sheet1"),),
            named_ranges=book.named_ranges if book else (),
            metadata=book.metadata if book else (),
            owner=user,
        )
        owner = permission({"type": "user", "role": "owner", "emailAddress": user}, self.new_id(20))
        now = self.clock.stamp()
        self.books[book_id] = made
        self.files[book_id] = File(book_id, now, now, 1, (owner,), parents)
        self._note(book_id, removed=False)
        return made

    def opened(self, book_id: str, user: str, *, write: bool) -> Spreadsheet:
        """A spreadsheet that a user may read or write.

        Raises:
            ApiError: 404 or 403, as the Sheets API says it.
        """
        if book_id not in self.books:
            raise not_found()
        role = self.files[book_id].role(user)
        if role is None or (write and not may_write(role)):
            raise no_access()
        return self.books[book_id]

    def file(self, file_id: str, user: str, *, write: bool = False) -> File:
        """A file that a user may see or change.

        Raises:
            ApiError: 404 or 403, as the Drive API says it.
        """
        file = self.files.get(file_id)
        role = None if file is None else file.role(user)
        if file is None or role is None:
            raise file_not_found(file_id)
        if write and not may_write(role):
            raise drive_error(
                403,
                "insufficientFilePermissions",
                f"The user does not have sufficient permissions for file {file_id}.",
            )
        return file

    def keep(self, book: Spreadsheet) -> None:
        """Replace a spreadsheet by what became of it; its version grows."""
        if self.books[book.id] is book:
            return
        self.books[book.id] = book
        self.touch(book.id)

    def touch(self, file_id: str, *, content: bool = True) -> None:
        """A file changed: its content, or only what Drive knows of it."""
        file = self.files[file_id]
        modified = self.clock.stamp() if content else file.modified
        self.files[file_id] = msgspec.structs.replace(
            file, modified=modified, version=file.version + 1
        )
        self._note(file_id, removed=False)

    def remove(self, file_id: str) -> None:
        """Delete a file for good."""
        del self.books[file_id], self.files[file_id]
        self.comments.pop(file_id, None)
        self._note(file_id, removed=True)

    def apply(self, book: Spreadsheet, result: tuple[Spreadsheet, _T]) -> _T:
        """Keep what an operation made of a spreadsheet, and answer the rest."""
        changed, answer = result
        if changed is not book:
            self.keep(changed)
        return answer

    def _note(self, file_id: str, *, removed: bool) -> None:
        change = Change(len(self.changes) + 1, file_id, removed, self.clock.stamp())
        self.changes.append(change)
        self._changed(change)
