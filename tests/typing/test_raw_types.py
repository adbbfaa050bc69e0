"""What both type checkers say of raw SQL, parameters, batches, streams and loaders."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.typing.test_types import differences, mypy_errors, pyright_errors

REVEAL = Path(__file__).with_name("reveal_raw.py")

# Only pyright knows which texts stand in the source.
COMPUTED = """\
import tierline as tl


def find(store: tl.Store, name: str) -> None:
    store.execute(tl.sql(f"delete from flights where name = '{name}'"))
"""


@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_rows_keep_their_types_and_mistakes_are_found(tool: str, tmp_path: Path) -> None:
    errors = mypy_errors([REVEAL], tmp_path) if tool == "mypy" else pyright_errors([REVEAL])
    assert differences(REVEAL, errors) == []


def test_sql_that_is_put_together_from_text_is_refused_by_pyright(tmp_path: Path) -> None:
    path = tmp_path / "computed.py"
    path.write_text(COMPUTED, encoding="utf-8")
    assert list(pyright_errors([path])[path.resolve()]) == [5]
