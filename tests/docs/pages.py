"""Runs the code blocks of one page, in order, as a reader would: called as a script by the tests.

A `python` block is run. A `text` block that follows one must be what it printed. Blocks marked `py`
are not run: they need servers that the reader has.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block and the line it begins on."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2)
        for found in _FENCE.finditer(text)
    ]


def run(page: Path) -> None:
    """Run a page's blocks in one namespace.

    Raises:
        AssertionError: A block printed something else than the page says.
    """
    # A real module, because annotations are looked up in the module of their class.
    module = sys.modules["page"] = ModuleType("page")
    printed = ""
    for block in blocks(page):
        if block.language == "python":
            out = io.StringIO()
            # Blank lines in front keep the page's line numbers in tracebacks.
            source = "\n" * (block.line - 1) + block.code
            code = compile(source, str(page), "exec", dont_inherit=True)
            with contextlib.redirect_stdout(out):
                exec(code, vars(module))
            printed = out.getvalue()
        elif block.language == "text":
            assert printed == block.code, (
                f"{page}:{block.line}: printed\n{printed}\nthe page says\n{block.code}"
            )


if __name__ == "__main__":
    run(Path(sys.argv[1]))
