"""Raw SQL as text: where a placeholder is a value, and where it would only be letters.

PostgreSQL's own rules for quotes, comments and dollar quotes (scan.l), as far as they decide where
such a thing ends. A placeholder inside one would be text, so it is refused.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

MARK = "\0"
"""Stands for a placeholder while text is looked at; SQL text itself has none."""


class Pieces(NamedTuple):
    """Text taken apart: a text, the value of a name, a text, …, a text."""

    texts: tuple[str, ...]
    names: tuple[str, ...]


_BRACES = re.compile(r"\{\{|\}\}|\{([^\W\d]\w*)\}|[{}]")


def split_placeholders(text: str) -> Pieces:
    """Take apart text with `{name}` placeholders; `{{` and `}}` are braces.

    Raises:
        TypeError: A brace is neither.
    """
    texts, names = [""], list[str]()
    end = 0
    for found in _BRACES.finditer(text):
        texts[-1] += text[end : found.start()]
        end = found.end()
        if found[1] is not None:
            names.append(found[1])
            texts.append("")
        elif len(found[0]) == 2:
            texts[-1] += found[0][0]
        else:
            raise TypeError(
                f"sql: the brace at {text[found.start() : found.start() + 20]!r} begins or ends no "
                "placeholder: write {name} for a value, and {{ or }} for a brace"
            )
    texts[-1] += text[end:]
    return Pieces(tuple(texts), tuple(names))


_BLOCK_EDGE = re.compile(r"/\*|\*/")

_WHAT = {
    "escaped": "a quoted text",
    "string": "a quoted text",
    "name": "a quoted name",
    "line": "a comment",
    "block": "a comment",
    "dollar": "a dollar-quoted text",
}


@cache
def _token() -> re.Pattern[str]:
    """Finds one token; made when it is first wanted, as it takes a tenth of the package's import.

    One at a time, so that a quote inside a word or a word before a quote is seen as PostgreSQL sees
    it. What is none of these is one character.
    """
    return re.compile(
        r"""
          (?P<escaped>  [eE]'(?:[^'\\]|\\.|'')*(?P<escaped_end>')? )
        | (?P<word>     [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
        | (?P<string>   '(?:[^']|'')*(?P<string_end>')? )
        | (?P<name>     "(?:[^"]|"")*(?P<name_end>")? )
        | (?P<line>     --[^\n\r]* )
        | (?P<block>    /\* )
        | (?P<dollar>   \$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$ )
        | (?P<numbered> \$[0-9]+ )
        """,
        re.VERBOSE | re.DOTALL,
    )


def check_text(text: str) -> bool:
    """Check text whose placeholders are `MARK`; answers whether it ends inside a line comment.

    Raises:
        TypeError: A placeholder stands where no value can, a quote or comment does not end, or a
            parameter is numbered by hand.
    """
    position, length = 0, len(text)
    in_comment, token = False, _token()
    while position < length:
        found = token.match(text, position)
        if found is None:
            position += 1
            continue
        kind = str(found.lastgroup).removesuffix("_end")
        end = found.end()
        in_comment = kind == "line" and end == length
        if kind == "numbered":
            raise TypeError(f"sql: write {{name}} instead of {found[0]}; parameters are numbered")
        if kind == "block":
            end = _block_end(text, end)
        elif kind == "dollar":
            closed = text.find(found[0], end)
            end = -1 if closed < 0 else closed + len(found[0])
        elif kind in ("escaped", "string", "name") and found[f"{kind}_end"] is None:
            end = -1
        what = _WHAT.get(kind)
        if what is not None and MARK in text[position : end if end >= 0 else length]:
            raise TypeError(
                f"sql: a placeholder in {what} would be letters, not a value; "
                "write {name} alone, without quotes"
            )
        if end < 0:
            raise TypeError(f"sql: {what} does not end")
        position = end
    return in_comment


def _block_end(text: str, start: int) -> int:
    """Where a block comment ends; they nest. -1 if it does not."""
    depth = 1
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1
