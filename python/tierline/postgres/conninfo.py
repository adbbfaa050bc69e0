"""Connection strings: what they name, without their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tierline.errors import ConfigurationError


class Host(NamedTuple):
    """One server of a connection string.

    Attributes:
        location: Where it is, without secrets.
        conninfo: The string that leads there and nowhere else.
    """

    location: str
    conninfo: str


def read_hosts(conninfo: str, replicas: Sequence[str] = ()) -> tuple[Host, ...]:
    """The servers that a connection string names, and those of further ones.

    Args:
        conninfo: A libpq URL or keyword string, of one host or several with commas.
        replicas: Further ones; what they leave out, such as the password, is as in the first.

    Raises:
        ConfigurationError: One cannot be read.
    """
    first = _read(conninfo)
    hosts = _hosts(first)
    for replica in replicas:
        hosts += _hosts({**first, "host": None, "hostaddr": None, "port": None, **_read(replica)})
    return tuple(hosts)


def _read(conninfo: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(conninfo))
    except psycopg.ProgrammingError:
        # libpq's text may quote the password, so neither message nor cause keeps it.
        raise unreadable() from None


def _hosts(parts: dict[str, Any]) -> list[Host]:
    names = _split(parts.get("host"))
    addresses = _split(parts.get("hostaddr"))
    count = max(len(names), len(addresses), 1)
    ports = _split(parts.get("port"))
    if len(ports) not in (0, 1, count):
        raise unreadable()
    hosts: list[Host] = []
    for n in range(count):
        name = _at(names, n)
        address = _at(addresses, n)
        port = _at(ports, n) if len(ports) == count else _at(ports, 0)
        shown = name or address or "localhost"
        # An "@" that was not percent-encoded puts the end of the password into the host.
        if "@" in shown or not (port or "5432").isdigit():
            raise unreadable()
        database = parts.get("dbname") or parts.get("user") or ""
        one = {
            **parts,
            "host": name,
            "hostaddr": address,
            "port": port,
            "client_encoding": "utf8",
            "application_name": parts.get("application_name") or "tierline",
            # Which server is what is looked at here.
            "target_session_attrs": None,
            "load_balance_hosts": None,
        }
        kept = {key: value for key, value in one.items() if value is not None}
        hosts.append(Host(f"postgresql://{shown}:{port or 5432}/{database}", make_conninfo(**kept)))
    return hosts


def _split(value: Any) -> list[str]:
    return str(value).split(",") if value not in (None, "") else []


def _at(values: list[str], n: int) -> str | None:
    return values[n] or None if n < len(values) else None


def unreadable() -> ConfigurationError:
    """The error for a string that says nothing."""
    return ConfigurationError(
        "the database URL cannot be read; write it as "
        "postgresql://user:password@host:5432/database, with special characters percent-encoded",
        operation="open",
    )
