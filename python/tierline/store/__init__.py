"""The store: an open handle on all tiers."""

from tierline.store.batches import Batch, batch
from tierline.store.coordination import (
    InDoubt,
    Recovery,
    distributed,
    distributed_setup,
    orphans,
    recover,
)
from tierline.store.loader import Deferred, Loader
from tierline.store.opening import connect, open, reads  # noqa: A004 (the field's word)
from tierline.store.stats import CachedQueryStats, Stats, TierStats
from tierline.store.store import Store
from tierline.store.streams import Stream
from tierline.store.transaction import Transaction

__all__ = [
    "Batch",
    "CachedQueryStats",
    "Deferred",
    "InDoubt",
    "Loader",
    "Recovery",
    "Stats",
    "Store",
    "Stream",
    "TierStats",
    "Transaction",
    "batch",
    "connect",
    "distributed",
    "distributed_setup",
    "open",
    "orphans",
    "reads",
    "recover",
]
