"""The store: an open handle on all tiers."""

from tierline.store.connect import connect, open
from tierline.store.stats import Stats, TierStats
from tierline.store.store import Store

__all__ = ["Stats", "Store", "TierStats", "connect", "open"]
