"""What both type checkers say of the package, of correct use and of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "tierline"
REVEAL = ROOT / "tests" / "typing" / "reveal.py"
REJECTED = ROOT / "tests" / "typing" / "rejected.py"
# One file a part: correct use, and mistakes that are marked.
NAMES = ("evaluate", "expressions", "servers")
PARTS = [ROOT / "tests" / "typing" / f"reveal_{part}.py" for part in NAMES]

MARK = "# rejected"
LIMIT_S = 110

# A mark on a line that is fine, and a mistake without a mark: the comparison must find both.
SABOTAGE = f"""\
fine: int = 1  {MARK}
wrong: int = "1"
right: int = "1"  {MARK}
"""

Errors = dict[Path, dict[int, str]]
"""Messages by file and line."""


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    # 0 is no error, 1 some errors in the code; anything else is the checker's own trouble.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy_errors(paths: list[Path], cache: Path) -> Errors:
    """What `mypy --strict` finds."""
    found: Errors = {}
    options = ("--strict", "--output=json", f"--cache-dir={cache}")
    for line in _run("mypy", *options, *map(str, paths)).splitlines():
        error: dict[str, Any] = json.loads(line)
        if error["severity"] == "error":
            place = found.setdefault((ROOT / error["file"]).resolve(), {})
            place[error["line"]] = error["message"]
    return found


def pyright_errors(paths: list[Path]) -> Errors:
    """What pyright finds, strict by the project's settings."""
    found: Errors = {}
    # The interpreter that runs the tests knows the dependencies; pyright would look for another.
    options = ("--outputjson", "--pythonpath", sys.executable)
    report: dict[str, Any] = json.loads(_run("pyright", *options, *map(str, paths)))
    assert report["summary"]["filesAnalyzed"] >= len(paths)
    for error in report["generalDiagnostics"]:
        if error["severity"] == "error":
            place = found.setdefault(Path(error["file"]).resolve(), {})
            place[error["range"]["start"]["line"] + 1] = error["message"]
    return found


def differences(path: Path, errors: Errors) -> list[str]:
    """Marked lines without an error, and errors without a mark."""
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith(MARK)}
    found = errors.get(path.resolve(), {})
    accepted = [
        f"accepted: {lines[number - 1].strip()}" for number in sorted(marked - found.keys())
    ]
    unmarked = [f"line {number}: {found[number]}" for number in sorted(found.keys() - marked)]
    return accepted + unmarked


@pytest.fixture(scope="module")
def sabotage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose marks are wrong."""
    path = tmp_path_factory.mktemp("typing") / "sabotage.py"
    path.write_text(SABOTAGE, encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def errors(request: pytest.FixtureRequest, sabotage: Path) -> Errors:
    """Everything one checker finds, in one run."""
    paths = [REVEAL, REJECTED, *PARTS, sabotage, PACKAGE]
    run: dict[str, Callable[[], Errors]] = {
        "mypy": lambda: mypy_errors(paths, sabotage.parent / "cache"),
        "pyright": lambda: pyright_errors(paths),
    }
    return run[request.param]()


def test_the_package_has_no_type_error(errors: Errors) -> None:
    assert {path: found for path, found in errors.items() if path.is_relative_to(PACKAGE)} == {}


def test_correct_use_has_the_types_that_users_see(errors: Errors) -> None:
    assert differences(REVEAL, errors) == []


def test_mistakes_are_errors_and_nothing_else_is(errors: Errors) -> None:
    assert differences(REJECTED, errors) == []


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_a_part_has_the_types_that_users_see(errors: Errors, path: Path) -> None:
    assert differences(path, errors) == []


def test_a_wrong_mark_is_noticed(errors: Errors, sabotage: Path) -> None:
    accepted, unmarked = differences(sabotage, errors)
    assert accepted == f"accepted: {SABOTAGE.splitlines()[0]}"
    assert unmarked.startswith("line 2: ")


def test_the_stub_is_true_to_the_native_module() -> None:
    # No allowlist: every name and signature agrees.
    said = _run("mypy.stubtest", "tierline._core", "--mypy-config-file", "pyproject.toml")
    assert said.startswith("Success"), said
