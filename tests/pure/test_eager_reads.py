"""The moment at which an entity is read anew before its time is over."""

from __future__ import annotations

import pytest

import tierline as tl
from tierline.cache import resilience
from tierline.cache.resilience import early_s


@pytest.mark.parametrize(
    ("beta", "rest_s", "took_s", "drawn", "expected_s"),
    [
        (0.0, 60, 0.1, 0.9, 0.0),
        (1.0, 60, 0.1, 0.0, 0.0),
        # Less than the core's clock can tell is nothing.
        (1.0, 60, 1e-4, 0.5, 0.0),
        (1.0, 60, 0.1, 0.6321205588285577, 0.1),
        (2.0, 60, 0.1, 0.6321205588285577, 0.2),
        (1e9, 60, 0.1, 0.5, 30),
        (1e9, 0.001, 0.1, 0.5, 0.0),
    ],
)
def test_it_is_the_earlier_the_longer_a_read_takes(
    monkeypatch: pytest.MonkeyPatch,
    beta: float,
    rest_s: float,
    took_s: float,
    drawn: float,
    expected_s: float,
) -> None:
    monkeypatch.setattr(resilience.random, "random", lambda: drawn)
    strategy = tl.read_through(ttl_s=60, eager_beta=beta)
    assert early_s(strategy, rest_s, took_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stale_if_error_s": -1},
        {"stale_while_revalidate_s": float("inf")},
        {"retry_s": float("nan")},
        {"soft_timeout_s": 1},
        {"hard_timeout_s": 0},
        {"negative_ttl_s": 0},
        {"ttl_jitter": 1.5},
        {"eager_beta": -1},
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tl.read_through(ttl_s=60, **wrong)  # type: ignore[arg-type]
