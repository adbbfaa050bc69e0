r"""`tl.matches`: the PostgreSQL expressions that Python's `re` can be made to mean the same by.

A pattern is read by the grammar of PostgreSQL's advanced expressions and written anew for `re`.
Of these parts, whether a text matches does not depend on how either engine searches:

| part | in PostgreSQL's words |
|---|---|
| characters, `.`, `\.` before any that is no letter or digit, `\n` `\t` `\r` `\f` `\v` | atoms |
| `[a-z]`, `[^…]`, `[[:alpha:]]`, `\d` `\w` `\s` `\D` `\W` `\S` | ASCII, as under the C collation |
| `(…)`, `(?:…)`, `a\|b` | groups and branches |
| `*` `+` `?` `{m}` `{m,}` `{m,n}`, each with `?` behind | quantifiers |
| `^` `$` `\A` `\Z` `\m` `\M` `\y` `\Y` `(?=…)` `(?!…)` | constraints |
| `(?i)` at the beginning | without regard to the case of ASCII letters |

All else is refused: back references, look-behind, other options, `***`, other escapes, collating
elements, and what is no valid expression. Repetitions inside repetitions, such as `(a+)+`, can take
`re` long where they do not match; PostgreSQL decides them in one pass.
"""

from __future__ import annotations

import functools
import re
from typing import NoReturn

_CACHED = 256
_BOUND_MAX = 255
# Beyond this PostgreSQL may find an expression too complex.
_SIZE_MAX = 1000

_CLASSES = {
    "alpha": "A-Za-z",
    "upper": "A-Z",
    "lower": "a-z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "xdigit": "0-9A-Fa-f",
    "space": r"\t-\r\x20",
    "blank": r"\t\x20",
    "cntrl": r"\x00-\x1f\x7f",
    "graph": r"\x21-\x7e",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "word": "0-9A-Za-z_",
}
_SHORT = {"d": _CLASSES["digit"], "s": _CLASSES["space"], "w": _CLASSES["word"]}
_WORD = f"[{_CLASSES['word']}]"
_CONSTRAINTS = {
    "A": r"\A",
    "Z": r"\Z",
    "m": f"(?<!{_WORD})(?={_WORD})",
    "M": f"(?<={_WORD})(?!{_WORD})",
    "y": f"(?:(?<!{_WORD})(?={_WORD})|(?<={_WORD})(?!{_WORD}))",
    "Y": f"(?:(?<!{_WORD})(?!{_WORD})|(?<={_WORD})(?={_WORD}))",
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]+)(?:(,)([0-9]*))?\})(\??)")


@functools.lru_cache(maxsize=_CACHED)
def translated(pattern: str) -> re.Pattern[str]:
    """The expression of `re` that matches what a pattern matches.

    Raises:
        TypeError: The pattern is outside the subset.
    """
    ignore_case = pattern.startswith("(?i)")
    reader = _Reader(pattern, 4 if ignore_case else 0)
    text, _ = reader.branches()
    if not reader.at_end:
        reader.refuse("an unmatched )")
    return re.compile(text, re.ASCII | re.DOTALL | (re.IGNORECASE if ignore_case else 0))


class _Reader:
    """Reads a pattern from left to right; each method answers with a text for `re` and a size."""

    def __init__(self, pattern: str, place: int) -> None:
        self._pattern = pattern
        self._place = place

    @property
    def at_end(self) -> bool:
        return self._place >= len(self._pattern)

    def refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"matches cannot be evaluated in memory with {what} in its pattern; "
            "tierline.query.evaluate.regular_expressions lists what can"
        )

    def _take(self) -> str:
        if self.at_end:
            self.refuse("an open end")
        self._place += 1
        return self._pattern[self._place - 1]

    def _skip(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._place)
        self._place += len(text) if found else 0
        return found

    def branches(self) -> tuple[str, int]:
        found = [self._branch()]
        while self._skip("|"):
            found.append(self._branch())
        return "|".join(text for text, _ in found), sum(size for _, size in found)

    def _branch(self) -> tuple[str, int]:
        text, size = "", 0
        while not self.at_end and self._pattern[self._place] not in "|)":
            piece, count = self._piece()
            text += piece
            size += count
            if size > _SIZE_MAX:
                self.refuse("so many repetitions")
        return text, size

    def _piece(self) -> tuple[str, int]:
        constraint = self._constraint()
        if constraint is not None:
            self._quantifier(allowed=False)
            return constraint, 1
        text, size = self._atom()
        quantifier, most = self._quantifier(allowed=True)
        return text + quantifier, max(size, 1) * most

    def _constraint(self) -> str | None:
        if self._skip("^"):
            return r"\A"
        if self._skip("$"):
            return r"\Z"
        for look in ("(?=", "(?!"):
            if self._skip(look):
                inside, _ = self.branches()
                if not self._skip(")"):
                    self.refuse("an open (")
                return f"{look}{inside})"
        if self._pattern.startswith("\\", self._place):
            found = _CONSTRAINTS.get(self._pattern[self._place + 1 : self._place + 2])
            self._place += 2 if found else 0
            return found
        return None

    def _quantifier(self, *, allowed: bool) -> tuple[str, int]:
        found = _QUANTIFIER.match(self._pattern, self._place)
        if found is None:
            return "", 1
        if not allowed:
            self.refuse("a quantifier of a constraint")
        self._place = found.end()
        if _QUANTIFIER.match(self._pattern, self._place):
            self.refuse("a quantifier of a quantifier")
        if found[1]:
            return found[0], 1
        least = int(found[2])
        most = int(found[4]) if found[4] else least
        if not least <= most <= _BOUND_MAX:
            self.refuse("such bounds")
        return found[0], max(most, 1)

    def _atom(self) -> tuple[str, int]:
        char = self._take()
        match char:
            case "(":
                if self._skip("?") and not self._skip(":"):
                    self.refuse("(? and an option or look-behind")
                inside, size = self.branches()
                if not self._skip(")"):
                    self.refuse("an open (")
                return f"(?:{inside})", size
            case "[":
                return self._bracket(), 1
            case ".":
                return ".", 1
            case "\\":
                return self._escape(), 1
            case "*" | "+" | "?" | "{":
                self.refuse(f"a {char} that follows nothing")
            case _:
                pass
        return re.escape(char), 1

    def _escape(self) -> str:
        char = self._take()
        if char in _SHORT:
            return f"[{_SHORT[char]}]"
        if char.lower() in _SHORT:
            return f"[^{_SHORT[char.lower()]}]"
        return re.escape(self._escaped(char))

    def _escaped(self, char: str) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum() or not char.isascii():
            self.refuse(f"\\{char}")
        return char

    def _bracket(self) -> str:
        text = "[^" if self._skip("^") else "["
        if self._skip("]"):
            text += self._range("]")
        elif self._pattern.startswith("-", self._place):
            text += self._range(self._take())
        while not self._skip("]"):
            text += self._member()
        return text + "]"

    def _member(self) -> str:
        char = self._take()
        if char == "[":
            if self._skip(":"):
                return self._class()
            if self._skip(".") or self._skip("="):
                self.refuse("a collating element")
        if char == "\\":
            char = self._take()
            if char in _SHORT:
                return self._no_range(_SHORT[char])
            char = self._escaped(char)
        elif char == "-" and not self._pattern.startswith("]", self._place):
            self.refuse("a - amid a bracket")
        return self._range(char)

    def _class(self) -> str:
        end = self._pattern.find(":]", self._place)
        name = self._pattern[self._place : end]
        if end < 0 or name not in _CLASSES:
            self.refuse("an unknown class of characters")
        self._place = end + 2
        return self._no_range(_CLASSES[name])

    def _no_range(self, text: str) -> str:
        after = self._pattern[self._place : self._place + 2]
        if after.startswith("-") and after != "-]":
            self.refuse("a range of a class")
        return text

    def _range(self, first: str) -> str:
        after = self._pattern[self._place : self._place + 2]
        if not after.startswith("-") or after == "-]":
            return re.escape(first)
        self._take()
        last = self._take()
        if last == "\\":
            last = self._take()
            if last in _SHORT:
                self.refuse("a range to a class")
            last = self._escaped(last)
        elif last == "[" and self._pattern[self._place : self._place + 1] in (":", ".", "="):
            self.refuse("a range to a class")
        if last < first:
            self.refuse("a range that runs backwards")
        return f"{re.escape(first)}-{re.escape(last)}"
