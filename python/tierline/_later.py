"""Which of the package's names are loaded when they are first used.

The store imports the drivers, and evaluation in memory is large: `import tierline` has neither.
"""

from __future__ import annotations

_POSTGRES = (
    "Acquired", "CircuitChanged", "DeadLettered", "Event", "EventSubscription", "FailedOver",
    "Health", "NodeHealth", "PoolOptions", "PoolStats", "Ran", "ReadPolicy", "Retried",
    "WroteBehind", "read_after", "write_token",
)  # fmt: skip
_STORE = (
    "ApplicationCache", "Batch", "CacheKey", "CacheSpace", "CachedQueryStats", "DeadLetter",
    "Deferred", "HotKeys", "InDoubt", "Loader", "PendingWrites", "Recovery", "Stats", "Store",
    "Stream", "TierStats", "Transaction", "WarmReport", "WriteBehindStats", "batch", "connect",
    "distributed", "distributed_setup", "hot_keys", "open", "orphans", "reads", "recover",
)  # fmt: skip
_SHEETS = ("SheetStore", "SheetsStats")
_SYNC = ("QueuedConflict", "SyncPlan", "SyncProgress", "SyncReport")
_EVALUATION, _MEMORY = ("evaluate", "row_filter"), ("MemoryRepository", "memory_repository")
MODULE_OF: dict[str, str] = {
    **dict.fromkeys(_POSTGRES, "tierline.postgres"),
    **dict.fromkeys(_STORE, "tierline.store"),
    **dict.fromkeys(_SHEETS, "tierline.store.sheet_store"),
    **dict.fromkeys(("connect_sheets", "open_sheets"), "tierline.store.opening_sheets"),
    "SheetTransaction": "tierline.store.sheet_transaction",
    "WritableSheetStore": "tierline.store.writable_sheets",
    "SheetView": "tierline.store.sheet_views",
    "SheetWatch": "tierline.store.sheet_watch",
    "SheetsQuota": "tierline.sheets.limiter",
    **dict.fromkeys(_SYNC, "tierline.store.syncing"),
    **dict.fromkeys(_EVALUATION, "tierline.query.evaluate"),
    **dict.fromkeys(_MEMORY, "tierline.repository.memory"),
}
"""Where each of these names is."""
