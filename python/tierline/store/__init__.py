"""The store: an open handle on all tiers."""

from tierline.store.opening import connect, open  # noqa: A004 (the field's word)
from tierline.store.stats import Stats, TierStats
from tierline.store.store import Store

__all__ = ["Stats", "Store", "TierStats", "connect", "open"]
