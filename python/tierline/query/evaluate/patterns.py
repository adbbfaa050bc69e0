"""LIKE: `%` any text, `_` one character, a backslash takes the next one literally."""

from __future__ import annotations

import enum
import functools
import re

from tierline.query.evaluate.faults import unfinished_pattern

_CACHED = 256


def is_like(text: str, pattern: str) -> bool:
    """Whether the whole text fits a pattern.

    Raises:
        QueryError: The pattern ends in a backslash, and the text fits as far as that.
    """
    found = _compiled(pattern)
    if found is None:
        return _walk(text, pattern, 0, 0) is _Answer.YES
    return found.fullmatch(text) is not None


_PART = re.compile(r"\\(?P<escaped>.)|(?P<any>%)|(?P<one>_)|(?P<plain>[^\\%_]+)|\\", re.DOTALL)


@functools.lru_cache(maxsize=_CACHED)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern as a regular expression; None for one that ends in a backslash."""
    pieces = [""]
    for part in _PART.finditer(pattern):
        match part.lastgroup:
            case None:
                return None
            case "any":
                pieces.append("")
            case "one":
                pieces[-1] += "."
            case _:
                pieces[-1] += re.escape(part[part.lastgroup])
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    first, *middle, last = pieces
    # The first place where a piece fits is as good as any, so nothing is ever tried again.
    found = "".join(f"(?>.*?{piece})" for piece in middle)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


class _Answer(enum.Enum):
    """ABORT: nor will it fit from any later place in the text."""

    YES = enum.auto()
    NO = enum.auto()
    ABORT = enum.auto()


def _walk(text: str, pattern: str, t: int, p: int) -> _Answer:  # noqa: C901, PLR0912 (as there)
    """`MatchText` of like_match.c, step by step: whether it fails depends on how far it comes."""
    while t < len(text) and p < len(pattern):
        if pattern[p] == "%":
            p += 1
            while p < len(pattern) and pattern[p] in "%_":
                if pattern[p] == "_":
                    if t >= len(text):
                        return _Answer.ABORT
                    t += 1
                p += 1
            if p >= len(pattern):
                return _Answer.YES
            first = _literal(pattern, p)
            while t < len(text):
                if text[t] == first and (found := _walk(text, pattern, t, p)) is not _Answer.NO:
                    return found
                t += 1
            return _Answer.ABORT
        if pattern[p] != "_":
            if pattern[p] == "\\":
                literal = _literal(pattern, p)
                p += 1
            else:
                literal = pattern[p]
            if literal != text[t]:
                return _Answer.NO
        t += 1
        p += 1
    if t < len(text):
        return _Answer.NO
    return _Answer.YES if pattern[p:].strip("%") == "" else _Answer.ABORT


def _literal(pattern: str, p: int) -> str:
    if pattern[p] != "\\":
        return pattern[p]
    if p + 1 >= len(pattern):
        raise unfinished_pattern()
    return pattern[p + 1]
