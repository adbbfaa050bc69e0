"""What both checkers say of `store.cache`, and of mistakes with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.typing.test_types import differences, mypy_errors, pyright_errors

REVEAL = Path(__file__).with_name("reveal_application_cache.py")
REJECTED = Path(__file__).with_name("rejected_application_cache.py")


@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_the_cache_has_the_types_that_users_see(tool: str, tmp_path: Path) -> None:
    paths = [REVEAL, REJECTED]
    errors = mypy_errors(paths, tmp_path) if tool == "mypy" else pyright_errors(paths)
    assert differences(REVEAL, errors) == []
    assert differences(REJECTED, errors) == []
