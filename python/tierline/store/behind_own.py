"""What a process itself has journalled, and L3 is not known to have: its reads see it first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from returns.result import Failure, Success

from tierline.cache.intents import Intent
from tierline.cache.journal import Journal
from tierline.cache.operations import NOTHING, OperationCodec, OperationId
from tierline.entity import Table
from tierline.errors import RepositoryError

if TYPE_CHECKING:
    from tierline.store.store import Store

K = TypeVar("K")

_CATCH_UP_S = 1.0
_KEYS_A_CALL = 1_000


class _Own(NamedTuple):
    """An operation, and the entity that it makes of the row; None for a deletion."""

    id: OperationId
    found: Success[Any]


class OwnWrites(Generic[K]):
    """The latest operation of this process on each row.

    Args:
        store: Whose caches forget a row when L3 has it.
        table: The table.
        codec: Names its keys.
        journal: The table's.
        applied: Asks L3 how far it is.
    """

    def __init__(
        self,
        store: Store,
        table: Table[Any, K],
        codec: OperationCodec[Any, K],
        journal: Journal,
        applied: Callable[[], Success[OperationId] | Failure[RepositoryError]],
    ) -> None:
        self._store = store
        self._codec = codec
        self._journal = journal
        self._applied = applied
        self._table = table
        self._own: dict[K, _Own] = {}
        self._learnt = NOTHING
        self._lock = threading.Lock()
        self._cached = self._caches()

    def renew(self) -> None:
        """Begin anew in a forked child: its parent hears of these, and it does not."""
        keys = list(self._own)
        self._own = {}
        self._learnt = NOTHING
        self._lock = threading.Lock()
        # The journal is asked where L1 has nothing.
        for cache in self._cached:
            cache.l1.invalidate_many(keys)

    def get(self, key: K) -> Success[Any] | None:
        """The entity that is pending for a key, None for a deletion; None if nothing is."""
        try:
            known = self._own.get(key)
        except TypeError:
            # What is no key is refused by what is asked next.
            return None
        return None if known is None else known.found

    def add(self, intents: Sequence[Intent], ids: Sequence[OperationId]) -> None:
        """These have been journalled."""
        with self._lock:
            for intent, id_ in zip(intents, ids, strict=True):
                known = self._own.get(intent.key)
                # Threads come here in another order than Redis took their operations in, and
                # perhaps after L3 has them.
                if id_ > self._learnt and (known is None or known.id < id_):
                    self._own[intent.key] = _Own(id_, Success(intent.entity))

    def has_until(self, last: OperationId) -> bool:
        """Whether there is one that came no later than another."""
        with self._lock:
            return any(own.id <= last for own in self._own.values())

    def learn(self, applied: OperationId) -> None:
        """L3 has everything up to an operation: the tiers are read for it again."""
        with self._lock:
            done = {key: own for key, own in self._own.items() if own.id <= applied}
        if done:
            for cache in self._caches():
                cache.l1.invalidate_many(done)
            backplane = self._store.backplane
            # Until it is heard, L2 may serve what was before.
            if backplane is not None and not backplane.catch_up(_CATCH_UP_S):
                return
        with self._lock:
            for key, own in done.items():
                if self._own.get(key) is own:
                    del self._own[key]
            self._learnt = max(self._learnt, applied)

    def compare(self) -> int | None:
        """How many the journal came back without; they are pending no more. None: it cannot say."""
        with self._lock:
            own = list(self._own.items())
        missing: list[tuple[K, _Own]] = []
        for start in range(0, len(own), _KEYS_A_CALL):
            some = own[start : start + _KEYS_A_CALL]
            answered = self._journal.pending([self._codec.name(key) for key, _ in some])
            if isinstance(answered, Failure):
                return None
            missing += [
                one
                for one, entry in zip(some, answered.unwrap(), strict=True)
                if entry is None or entry.id < one[1].id
            ]
        if not missing:
            return 0
        # L3 is asked last: it may have taken them meanwhile.
        applied = self._applied()
        if isinstance(applied, Failure):
            return None
        self.learn(applied.unwrap())
        with self._lock:
            lost = [one for one in missing if self._own.get(one[0]) is one[1]]
            lost = [one for one in lost if one[1].id > applied.unwrap()]
            for key, _ in lost:
                del self._own[key]
        for cache in self._caches():
            cache.l1.invalidate_many([key for key, _ in lost])
        return len(lost)

    def __len__(self) -> int:
        return len(self._own)

    def _caches(self) -> list[Any]:
        caches = self._store.caches.of(self._table)
        return [cache for cache in caches if cache.table.key == self._table.key]
