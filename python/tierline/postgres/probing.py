"""The first look at a database: that it can be reached, and what data it holds."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import psycopg

from tierline.errors import ConnectionError  # noqa: A004
from tierline.postgres.connection import Connection
from tierline.postgres.node import Node


class Probed(NamedTuple):
    """What was found.

    Attributes:
        server_version: As a number, such as 180001.
        identity: What names the data: of the cluster's system identifier and the database.
        schema: What unqualified names mean; empty if nothing.
    """

    server_version: int
    identity: str
    schema: str


def probe(node: Node) -> Probed:
    """Connect once, so that what is wrong is said now and with its reason.

    Raises:
        ConnectionError: The server cannot be reached or refuses the login.
    """
    try:
        connection = node.dialer.dial()
        try:
            return _ask(connection, node)
        finally:
            connection.close()
    except psycopg.Error as error:
        # The server's own words are all there is: libpq gives a failed login no SQLSTATE.
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"cannot connect to {node.location}: {reason}; check that the server runs there, and "
            "the URL's user, password and database",
            operation="open",
        ) from error


def _ask(connection: Connection, node: Node) -> Probed:
    row: tuple[Any, ...] = connection.execute(
        "SELECT d.oid, coalesce(current_schema(), '') "
        "FROM pg_database d WHERE d.datname = current_database()"
    ).fetchone() or (0, "")
    database, schema = row
    data = f"{_system_identifier(connection) or node.location}/{database}"
    identity = hashlib.blake2b(data.encode(), digest_size=6).hexdigest()
    return Probed(connection.info.server_version, identity, schema)


def _system_identifier(connection: Connection) -> int | None:
    """The number that a cluster and its replicas have in common; None where it may not be asked."""
    try:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return row[0] if row else None
