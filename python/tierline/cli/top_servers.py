"""What PostgreSQL itself knows: servers, sessions, tables that announce changes."""

from __future__ import annotations

import msgspec

import tierline as tl
from tierline.cli.top_sources import UnreachableError
from tierline.cli.top_stores import node_line


class Sessions(msgspec.Struct, frozen=True):
    """Sessions of one application in one state."""

    application: str
    state: str
    sessions: int


class ShownServers(msgspec.Struct, frozen=True):
    """The servers of one database.

    Attributes:
        health: Of each.
        sessions: On the primary.
        announcing: Tables that announce their changes.
    """

    health: tl.Health
    sessions: list[Sessions]
    announcing: list[str]


_SESSIONS = tl.sql(
    "select coalesce(nullif(application_name, ''), '-') as application,"
    " coalesce(state, 'background') as state, count(*) as sessions from pg_stat_activity"
    " where datname = current_database() group by 1, 2 order by 3 desc, 1, 2",
    into=Sessions,
)
_ANNOUNCING = tl.sql(
    "select distinct format('%s.%s', n.nspname, c.relname) as name from pg_trigger t"
    " join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace"
    " where t.tgname = 'tierline_insert' order by 1",
    into=str,
)


class Servers:
    """Asks PostgreSQL.

    Args:
        url: Of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: tl.Store | None = None

    def look(self) -> tuple[object, str]:
        """The servers now.

        Raises:
            UnreachableError: PostgreSQL does not answer.
        """
        shown = self._shown()
        if isinstance(shown, tl.Failure):
            error = shown.failure()
            raise UnreachableError(f"{type(error).__name__}: {error}") from error
        return shown.unwrap(), servers_page(shown.unwrap())

    def close(self) -> None:
        """Close the connections."""
        if self._store is not None:
            self._store.close()

    def _shown(self) -> tl.Result[ShownServers, tl.RepositoryError]:
        if self._store is None:
            opened = tl.connect(self._url, pool_size=1, timeout_s=5)
            if isinstance(opened, tl.Failure):
                return opened
            self._store = opened.unwrap()
        sessions = self._store.fetch_all(_SESSIONS)
        if isinstance(sessions, tl.Failure):
            return sessions
        announcing = self._store.fetch_all(_ANNOUNCING)
        if isinstance(announcing, tl.Failure):
            return announcing
        health = self._store.health()
        return tl.Success(ShownServers(health, sessions.unwrap(), announcing.unwrap()))


def servers_page(shown: ShownServers) -> str:
    """The servers, as text."""
    width = max((len(s.application) for s in shown.sessions), default=0)
    lines = [node_line(node) for node in shown.health.nodes]
    lines += ["", "sessions"]
    lines += [
        f"  {s.application.ljust(width)}  {s.state:20} {s.sessions:>5,}" for s in shown.sessions
    ]
    lines += ["", f"tables that announce changes: {', '.join(shown.announcing) or 'none'}"]
    return "\n".join(lines)
