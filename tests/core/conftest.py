"""What tests of the native module share."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is that does other things too says nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The exceptions that `sys.unraisablehook` is told of; a test that takes it looks at them."""
    told: list[BaseException] = []

    def hook(event: Any) -> None:
        told.append(event.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return told
