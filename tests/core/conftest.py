"""What tests of the native module share."""

from __future__ import annotations

import sys
from typing import Any

import pytest


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The exceptions that `sys.unraisablehook` is told of; a test that takes it looks at them."""
    told: list[BaseException] = []

    def hook(event: Any) -> None:
        told.append(event.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return told
