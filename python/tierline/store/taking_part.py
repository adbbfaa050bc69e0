"""One store's part in a distributed transaction."""

from __future__ import annotations

from returns.result import Success

from tierline.cache.pending import PendingCaches
from tierline.postgres.two_phase import (
    Participant,
    announce_prepared,
    announcing,
    finish_prepared,
)
from tierline.sql.distributed import Gid, commit_prepared, rollback_prepared
from tierline.store.store import Store
from tierline.store.transaction import Transaction


class Part:
    """One store's part in a run.

    Attributes:
        gid: The global id, once it may be prepared.
        announced: Whether what it prepared is announced; only then it may be committed.
        written: Whether what it wrote is or may be kept, so that caches forget it.
        done: Whether its end is known.
    """

    def __init__(self, name: str, store: Store, session: Participant) -> None:
        self.name = name
        self.store = store
        self.session = session
        self.pending = PendingCaches(store.caches)
        self.tx = Transaction(store, session, self.pending)
        self.gid: Gid | None = None
        self.prepared = False
        self.announced = False
        self.written = False
        self.done = False

    def keep(self) -> None:
        """What it wrote is kept: the caches forget it, reads of replicas wait for it."""
        self.pending.apply(self.session.xid)
        if self.session.xid is not None:
            self.store.database.note(self.session.xid)

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is prepared and may be committed later, by whomever."""
        return self.written and self.gid is not None and not self.done

    @property
    def announces(self) -> bool:
        """Whether there is, or may be, something to announce."""
        return self.session.announces != ""

    def announce(self, until_s: float) -> bool:
        """Announce what it prepared, on its own connection; whether that is done or needless.

        Before COMMIT PREPARED: who heard it keeps nothing that lacks it, and there is no second
        message that could be lost with this process.
        """
        if not self.announced and not self.session.is_lost():
            self.announced = not self.announces or self.session.announce(until_s)
        return self.announced

    def follow(self, *, commit: bool, until_s: float) -> None:
        """Have the decision followed on any connection; `done` if that was in time."""
        assert self.gid is not None
        database = self.store.database
        if commit and not self.announced and self.announces:
            told = announce_prepared(database, announcing(self.session), until_s)
            self.announced = isinstance(told, Success)
            if not self.announced:
                return
        command = commit_prepared(self.gid) if commit else rollback_prepared(self.gid)
        self.done = isinstance(finish_prepared(database, command, until_s), Success)
