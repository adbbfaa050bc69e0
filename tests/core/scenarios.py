"""Scenarios that run in child processes with a time limit: a failure may be a hang or a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 30


class Scenarios:
    """The scenarios of one module, which runs one of them when it is run as a program."""

    def __init__(self, module: str) -> None:
        self.module = f"tests.core.{module}"
        self.functions: dict[str, Callable[[], None]] = {}

    def __call__(self, function: Callable[[], None]) -> Callable[[], None]:
        self.functions[function.__name__] = function
        return function

    def main(self) -> None:
        """Run the scenario that the command line names."""
        self.functions[sys.argv[1]]()

    def run(self, name: str, **environment: str) -> str:
        """Run a scenario in a child process; what it wrote to stderr."""
        child = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-m", self.module, name],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert child.returncode == 0, child.stderr
        return child.stderr
