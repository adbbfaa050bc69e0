"""What `sabotage_python.py` takes out: a guard and the test that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Guard(NamedTuple):
    """A guard, how to take it out, and the test that must fail.

    Attributes:
        name: What is guarded.
        file: Where, in the package.
        edits: What each text, which stands there once, becomes.
        test: The test's node, in `tests`.
    """

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str
