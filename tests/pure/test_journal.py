"""What a journal sends again, and what it never does."""

from __future__ import annotations

from typing import Any

import pytest

import tierline as tl
from tierline.cache.journal import Journal
from tierline.cache.operations import NOTHING, Written


class Line:
    """Stands for a line whose server is started anew under the first script."""

    def __init__(self, first: tl.RepositoryError) -> None:
        self.run = b"one"
        self.sent: list[bytes] = []
        self._first = first

    def ask(self, *words: Any) -> tl.Result[Any, tl.RepositoryError]:
        return tl.Success(b"aof_enabled:1")

    def run_script(
        self, script: Any, keys: Any, values: Any, on_run: bytes | None = None
    ) -> tl.Result[Any, tl.RepositoryError]:
        self.sent.append(on_run or b"")
        if len(self.sent) == 1:
            self.run = b"two"
            return tl.Failure(self._first)
        return tl.Success([1, [b"5-0"], b""])


@pytest.mark.parametrize(
    ("first", "sent"),
    [
        (tl.ConnectionError("nothing was sent"), [b"one", b"two"]),
        (tl.OutcomeUnknownError("no answer"), [b"one"]),
        (tl.PoolExhaustedError("no memory"), [b"one"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_was_not_sent_is_sent_again(first: tl.RepositoryError, sent: list[bytes]) -> None:
    line: Any = Line(first)
    journal = Journal(line, "j", durable=True, applied=lambda: tl.Success(NOTHING))
    appended = journal.append([Written(b"p", b"[1]", b"")], 10)
    assert line.sent == sent
    assert isinstance(appended, tl.Success) == (len(sent) == 2)
