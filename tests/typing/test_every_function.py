"""Every public function has its types pinned, and mistakes with it that both checkers find."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.typing.checkers import MARK

import tierline as tl

HERE = Path(__file__).parent
MISTAKES = HERE / "mistakes.py"
REVEALS = sorted({*HERE.glob("reveal*.py"), *HERE.glob("*_reveal.py")})

FUNCTIONS = [name for name in tl.__all__ if name[0].islower()]
VERBS = [name for name in dir(tl.Repository) if name[0] != "_"]
STORE = [name for name in dir(tl.Store) if name[0] != "_" and name not in ("database", "close")]
TRANSACTION = [name for name in dir(tl.Transaction) if name[0] != "_"]
# What has no arguments to take wrongly.
WITHOUT_MISTAKES = {"stats"}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def marked(path: Path) -> list[str]:
    return [line.strip() for line in lines(path) if line.endswith(MARK)]


def used(path: Path, *, in_mistakes: bool) -> set[str]:
    """What marked lines ask for, or the others: `tl.x` as "tl.x", an attribute as ".x"."""
    found: set[str] = set()
    text = lines(path)
    for node in ast.walk(ast.parse("\n".join(text))):
        if isinstance(node, ast.Attribute) and text[node.lineno - 1].endswith(MARK) == in_mistakes:
            found.add(f".{node.attr}")
            if isinstance(node.value, ast.Name) and node.value.id == "tl":
                found.add(f"tl.{node.attr}")
    return found


def used_in(paths: Iterable[Path]) -> set[str]:
    """What is used without a mistake."""
    return {name for path in paths for name in used(path, in_mistakes=False)}


def test_there_are_sixty_and_none_twice() -> None:
    assert len(marked(MISTAKES)) >= 60
    others = {line for path in HERE.glob("*.py") if path != MISTAKES for line in marked(path)} | {
        line for line, times in Counter(marked(MISTAKES)).items() if times > 1
    }
    assert [line for line in marked(MISTAKES) if line in others] == []


def test_every_public_name_has_its_type_pinned() -> None:
    known = used_in(REVEALS)
    assert [name for name in tl.__all__ if f"tl.{name}" not in known] == ["__version__"]
    assert [verb for verb in (*VERBS, *STORE, *TRANSACTION) if f".{verb}" not in known] == []


def test_every_public_function_has_a_mistake() -> None:
    known = used(MISTAKES, in_mistakes=True)
    assert [name for name in FUNCTIONS if f"tl.{name}" not in known] == []
    verbs = {*VERBS, *STORE, *TRANSACTION} - WITHOUT_MISTAKES
    assert sorted(verb for verb in verbs if f".{verb}" not in known) == []


def test_a_name_that_no_file_mentions_is_found(tmp_path: Path) -> None:
    path = tmp_path / "reveal.py"
    path.write_text(f"tl.select(A)\ntl.where(A)  {MARK}\n", encoding="utf-8")
    assert used_in([path]) == {"tl.select", ".select"}
