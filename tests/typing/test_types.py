"""What both type checkers say of the package, of correct use and of mistakes.

Every file of this folder is looked at in one run a checker: marked lines must be errors, and
nothing else may be.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.typing.checkers import (
    LIMIT_S,
    MARK,
    ROOT,
    Errors,
    differences,
    mypy_errors,
    pyright_errors,
    run,
)

pytestmark = pytest.mark.timeout(2 * LIMIT_S)

HERE = Path(__file__).parent
PACKAGE = ROOT / "python" / "tierline"
ONLY_PYRIGHT = HERE / "rejected_by_pyright.py"
FILES = sorted({*HERE.glob("*.py")} - {*HERE.glob("test_*.py"), HERE / "checkers.py", ONLY_PYRIGHT})

# A mark on a line that is fine, and a mistake without a mark: the comparison must find both.
SABOTAGE = f"""\
fine: int = 1  {MARK}
wrong: int = "1"
right: int = "1"  {MARK}
"""


class Checked(NamedTuple):
    """What one checker found, in one run, and the file whose marks are wrong."""

    tool: str
    errors: Errors
    sabotage: Path


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Everything one checker finds."""
    folder = tmp_path_factory.mktemp("typing")
    sabotage = folder / "sabotage.py"
    sabotage.write_text(SABOTAGE, encoding="utf-8")
    paths = [*FILES, ONLY_PYRIGHT, sabotage, PACKAGE]
    tool: str = request.param
    errors = mypy_errors(paths, folder / "cache") if tool == "mypy" else pyright_errors(paths)
    return Checked(tool, errors, sabotage)


def test_the_package_has_no_type_error(checked: Checked) -> None:
    errors = checked.errors
    assert {path: found for path, found in errors.items() if path.is_relative_to(PACKAGE)} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_marked_lines_are_errors_and_nothing_else_is(checked: Checked, path: Path) -> None:
    assert differences(path, checked.errors) == []


def test_sql_that_is_put_together_from_text_is_refused_by_pyright(checked: Checked) -> None:
    # Only pyright knows which texts stand in the source.
    if checked.tool == "mypy":
        assert ONLY_PYRIGHT not in checked.errors
    else:
        assert differences(ONLY_PYRIGHT, checked.errors) == []


def test_a_wrong_mark_is_noticed(checked: Checked) -> None:
    accepted, unmarked = differences(checked.sabotage, checked.errors)
    assert accepted == f"accepted: {SABOTAGE.splitlines()[0]}"
    assert unmarked.startswith("line 2: ")


def test_the_stub_is_true_to_the_native_module() -> None:
    # No allowlist: every name and signature agrees.
    said = run("mypy.stubtest", "tierline._core", "--mypy-config-file", "pyproject.toml")
    assert said.startswith("Success"), said
