"""The health of the servers, as a value worth showing."""

from __future__ import annotations

import html
from collections.abc import Sequence

import msgspec

from tierline.circuit import State
from tierline.postgres.node import Node
from tierline.postgres.pool import PoolStats
from tierline.postgres.routing import Role, primary_of


class NodeHealth(msgspec.Struct, frozen=True):
    """One server.

    Attributes:
        location: Where it is, without secrets.
        role: `primary`, `replica`, `outdated` (takes writes although another was promoted over it)
            or `unknown`.
        lag_bytes: How far a replica has replayed behind the primary; None if either is not known.
        lag_s: Seconds that the replica's last replayed transaction is old; 0 if it has replayed
            all it received.
        circuit: `closed` if it can be reached, `open` if not, `half-open` while it is tried.
        pool: Its connections.
        version: Such as `18.1`; None if unknown.
        timeline: Counted up by each promotion; 0 if unknown.
        latency_s: Seconds that it takes to answer, smoothed.
        last_error: What the last failed attempt to connect met; None if the last one succeeded.
    """

    location: str
    role: Role
    lag_bytes: int | None
    lag_s: float
    circuit: State
    pool: PoolStats
    version: str | None
    timeline: int
    latency_s: float
    last_error: str | None


class Health(msgspec.Struct, frozen=True):
    """The servers of a store at one moment.

    Attributes:
        nodes: Each of them.
        ok: Whether one takes writes and can be reached.
    """

    nodes: tuple[NodeHealth, ...]
    ok: bool

    def __repr__(self) -> str:
        lines = [f"Health: {'ok' if self.ok else 'no server takes writes'}"]
        lines += ["  " + "  ".join(cells) for cells in self._table()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in self._table()
        )
        return f"<table>{rows}</table>"

    def _table(self) -> list[list[str]]:
        rows = [["server", "role", "lag", "circuit", "in use", "version"]]
        for node in self.nodes:
            lag = "" if node.role == "primary" else f"{node.lag_s:.1f} s"
            if lag and node.lag_bytes is not None:
                lag += f", {node.lag_bytes:,} bytes"
            use = f"{node.pool.in_use} of {node.pool.size}"
            rows.append(
                [node.location, node.role, lag, node.circuit, use, node.version or "unknown"]
            )
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        return [
            [cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows
        ]


def health_of(nodes: Sequence[Node]) -> Health:
    """What is known of servers, without asking them."""
    states = [node.state for node in nodes]
    primary = primary_of(states)
    position = states[primary].position if primary is not None else 0
    found = tuple(_health(node, position) for node in nodes)
    takes_writes = [node for node in found if node.role == "primary" and node.circuit == "closed"]
    return Health(found, bool(takes_writes))


def _health(node: Node, primary_position: int) -> NodeHealth:
    state, circuit = node.state, node.dialer.circuit
    known = bool(primary_position and state.position)
    error = node.dialer.last_error if circuit.failures else None
    return NodeHealth(
        location=node.location,
        role=state.role,
        lag_bytes=max(0, primary_position - state.position) if known else None,
        lag_s=state.lag_s,
        circuit=circuit.state,
        pool=node.pool.stats(),
        version=_shown(state.version) if state.version else None,
        timeline=state.timeline,
        latency_s=state.latency_s,
        last_error=" ".join(str(error).split()) if error is not None else None,
    )


def _shown(version: int) -> str:
    return f"{version // 10_000}.{version % 10_000}"
