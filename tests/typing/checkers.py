"""What mypy and pyright find in some files, and how that differs from what is marked there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

MARK = "# rejected"
"""Ends the lines that a checker must refuse."""

LIMIT_S = 600
"""A checker takes seconds, on a busy machine a minute; this is for one that hangs."""

Errors = dict[Path, dict[int, str]]
"""Messages by file and line."""


def run(*arguments: str) -> str:
    """What a module prints."""
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
    for line in run("mypy", *options, *map(str, paths)).splitlines():
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
    report: dict[str, Any] = json.loads(run("pyright", *options, *map(str, paths)))
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
