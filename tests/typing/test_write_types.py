"""What both type checkers say of writes, changes and the repository's verbs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.typing.test_types import differences, mypy_errors, pyright_errors

REVEAL = Path(__file__).with_name("reveal_writes.py")


@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_writes_keep_their_types_and_mistakes_are_found(tool: str, tmp_path: Path) -> None:
    errors = mypy_errors([REVEAL], tmp_path) if tool == "mypy" else pyright_errors([REVEAL])
    assert differences(REVEAL, errors) == []
