"""Lets the benchmark tests import the benchmarks, and shares one world among them."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

# The benchmarks are scripts beside each other, not a package.
sys.path.insert(0, str(Path(__file__).parent))

from world import World


@pytest.fixture(scope="session")
def world() -> Generator[World]:
    """Servers and connections, started by the first benchmark that needs them."""
    with World() as world:
        yield world
