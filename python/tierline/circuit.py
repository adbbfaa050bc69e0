"""The circuit breaker of one server, as a pure state machine: values and the time go in.

    closed ──failures──▶ open ──pause over──▶ half-open ──success──▶ closed
                          ▲                       │
                          └───────failure─────────┘

Closed, everybody may connect; open, nobody may but one probe a pause. See M. Nygard, *Release It!*,
"Circuit Breaker".
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

State: TypeAlias = Literal["closed", "open", "half-open"]

FAILURES_MAX = 3
"""Failures in a row that open a circuit."""

PAUSE_S = 1.0
"""Between two probes of an open circuit, at least."""


class Circuit(msgspec.Struct, frozen=True):
    """What is known of a server's health, by attempts to connect.

    Attributes:
        failures: Failed attempts since the last success.
        next_s: No attempt before this monotonic time.
        probing: Whether an attempt on an open circuit is under way.
        opened_s: When the circuit opened; None if it is closed.
    """

    failures: int = 0
    next_s: float = 0.0
    probing: bool = False
    opened_s: float | None = None

    @property
    def state(self) -> State:
        """Closed, open, or half-open while a probe is under way."""
        if self.opened_s is None:
            return "closed"
        return "half-open" if self.probing else "open"

    def allows(self, now_s: float) -> bool:
        """Whether an attempt may be made now."""
        if self.opened_s is None:
            return True
        return not self.probing and now_s >= self.next_s

    def attempted(self, now_s: float) -> Circuit:
        """After an attempt began."""
        if self.opened_s is None:
            return self
        return msgspec.structs.replace(self, probing=True, next_s=now_s + PAUSE_S)

    def failed(self, now_s: float, failures_max: int = FAILURES_MAX) -> Circuit:
        """After an attempt failed; so many in a row open the circuit."""
        failures = self.failures + 1
        if failures < failures_max:
            return Circuit(failures)
        opened_s = now_s if self.opened_s is None else self.opened_s
        # A probe that took long has had its pause.
        next_s = max(self.next_s, now_s) if self.probing else now_s + PAUSE_S
        return Circuit(failures, next_s, opened_s=opened_s)

    def succeeded(self) -> Circuit:
        """After an attempt succeeded."""
        return Circuit()
