"""The pages' code passes both type checkers in strict mode, without a plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *(ROOT / "docs/guides").glob("*")]
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one module a page."""
    folder = tmp_path_factory.mktemp("pages")
    for page in PAGES:
        code = "".join(block.code for block in blocks(page) if block.language == "python")
        (folder / f"page_{page.stem.lower()}.py").write_text(code, encoding="utf-8")
    config = {"typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (folder / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def check(tool: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", tool, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_mypy_infers_the_pages(modules: Path) -> None:
    done = check("mypy", "--strict", ".", folder=modules)
    assert done.returncode == 0, done.stdout


def test_pyright_infers_the_pages(modules: Path) -> None:
    done = check("pyright", "--pythonpath", sys.executable, folder=modules)
    assert done.returncode == 0, done.stdout


def test_a_misspelt_field_is_an_error_in_both(tmp_path: Path) -> None:
    source = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "tl.some(f.dep_delay) > 60" in source
    code = "".join(b.code for b in blocks(ROOT / "README.md") if b.language == "python")
    (tmp_path / "misspelt.py").write_text(code.replace("f.dep_delay) > 60", "f.dep_dely) > 60"))
    for tool, options in (("mypy", ["--strict"]), ("pyright", ["--pythonpath", sys.executable])):
        done = check(tool, *options, "misspelt.py", folder=tmp_path)
        assert done.returncode == 1, done.stdout
        assert "dep_dely" in done.stdout
