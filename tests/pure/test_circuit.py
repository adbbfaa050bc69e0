"""The circuit breaker's states, by a script of attempts and by every script."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tierline.circuit import FAILURES_MAX, PAUSE_S, Circuit


def test_it_opens_after_three_failures_in_a_row_and_closes_by_a_success() -> None:
    circuit = Circuit()
    for n in range(FAILURES_MAX):
        assert (circuit.state, circuit.allows(n)) == ("closed", True)
        circuit = circuit.attempted(n).failed(n)
    assert (circuit.state, circuit.allows(2.5)) == ("open", False)
    assert circuit.allows(2 + PAUSE_S)
    probing = circuit.attempted(2 + PAUSE_S)
    assert (probing.state, probing.allows(99)) == ("half-open", False)
    assert probing.succeeded() == Circuit()
    again = probing.failed(2 + PAUSE_S)
    assert (again.state, again.opened_s) == ("open", circuit.opened_s)


def test_a_success_forgets_earlier_failures() -> None:
    circuit = Circuit()
    for _ in range(FAILURES_MAX - 1):
        circuit = circuit.attempted(0).failed(0)
    circuit = circuit.attempted(1).succeeded()
    assert circuit.attempted(2).failed(2).state == "closed"


@given(st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 3), st.booleans()), max_size=60))
def test_an_open_circuit_is_probed_at_most_once_a_pause(
    script: list[tuple[float, float, bool]],
) -> None:
    circuit, now_s = Circuit(), 0.0
    probes: list[float] = []
    for wait_s, took_s, works in script:
        now_s += wait_s
        if not circuit.allows(now_s):
            assert circuit.state != "closed"
            continue
        if circuit.state == "open":
            probes.append(now_s)
        circuit = circuit.attempted(now_s)
        now_s += took_s
        circuit = circuit.succeeded() if works else circuit.failed(now_s)
        if works:
            probes.clear()
    pauses = [after - before for before, after in pairwise(probes)]
    assert all(pause >= PAUSE_S - 1e-9 for pause in pauses)
