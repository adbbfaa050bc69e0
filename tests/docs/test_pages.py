"""Every page's code runs and prints what the page says; links lead somewhere."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

import tierline.result

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
RUNNER = Path(__file__).with_name("pages.py")

_BLOCK = re.compile(r"^```python\n", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)\)")


def names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def data_dir() -> Generator[Path]:
    """A folder for the pages' embedded server; every account may pass through it, as root needs."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="tierline-docs-")))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _BLOCK.search(page.read_text(encoding="utf-8"))], ids=names
)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page: Path, data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(RUNNER), str(page)],
        env={**os.environ, "TIERLINE_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_page_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "the page says" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_docstring_examples_run() -> None:
    failed, tried = doctest.testmod(tierline.result)
    assert tried > 0
    assert failed == 0
