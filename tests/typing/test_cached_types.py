"""What both type checkers say of `tl.Cache`, of `tl.cached` and of loading."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.typing.test_types import Errors, differences, mypy_errors, pyright_errors

REVEALS = [Path(__file__).with_name(name) for name in ("cache_reveal.py", "cached_reveal.py")]


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def errors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """Everything one checker finds, in one run."""
    if request.param == "mypy":
        return mypy_errors(REVEALS, tmp_path_factory.mktemp("mypy"))
    return pyright_errors(REVEALS)


@pytest.mark.parametrize("path", REVEALS, ids=lambda path: path.stem)
def test_types_are_kept_and_mistakes_are_found(path: Path, errors: Errors) -> None:
    assert differences(path, errors) == []
