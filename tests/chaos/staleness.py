"""How old what readers saw was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.chaos.observer import Behind, Failed, Note, Seen, Written
from tests.stalls import Stalls

EDGES_MS = (0, 1, 5, 10, 50, 100, 250, 500, 1000)


def staleness(notes: Iterable[Note], from_s: float = 0.0) -> list[float]:
    """How old each version was at most when it was read, in reads that began after a moment."""
    acknowledged: dict[int, list[tuple[int, float]]] = {}
    for note in notes:
        if isinstance(note, Written):
            acknowledged.setdefault(note.row, []).append((note.n, note.acknowledged_s))
    ended: dict[int, dict[int, float]] = {}
    for row, found in acknowledged.items():
        # The first acknowledgement of any later version: one may have been lost.
        sooner = float("inf")
        ends: dict[int, float] = {}
        for n, when_s in sorted(found, reverse=True):
            ends[n] = sooner
            sooner = min(sooner, when_s)
        ends[-1] = sooner
        ended[row] = ends
    ages: list[float] = []
    for note in notes:
        if not isinstance(note, Seen) or note.began_s < from_s:
            continue
        ends = ended.get(note.row, {})
        known = note.n if note.n in ends else max((n for n in ends if n < note.n), default=-1)
        ages.append(max(0.0, note.began_s - ends[known]))
    return ages


def histogram(ages_s: Sequence[float], writes: int) -> str:
    """The ages as a table that docs/consistency.md shows."""
    lines = [
        f"{writes:,} writes acknowledged",
        f"{len(ages_s):,} versions seen, the oldest {max(ages_s):.3f} s old",
    ]
    ages_ms = [1000 * age_s for age_s in ages_s]
    below = 0
    for edge_ms in EDGES_MS:
        until = sum(age_ms <= edge_ms for age_ms in ages_ms)
        said = "not old at all" if edge_ms == 0 else f"up to {edge_ms:,} ms"
        lines.append(f"{said:>16} {until - below:>12,} {(until - below) / len(ages_ms):8.3%}")
        below = until
    lines.append(f"{'more':>16} {len(ages_ms) - below:>12,}")
    return "\n".join(lines)


def check_notes(
    notes: Sequence[Note],
    bound_s: float,
    healed_s: float,
    stalls: Stalls,
    record_property: Callable[[str, object], None],
) -> tuple[int, int]:
    """Check that no read failed, lacked its own writes, or was older than the bound.

    Args:
        notes: Of every process.
        bound_s: How old a read may be; half of that in the second after `healed_s`.
        healed_s: When nothing was broken any more.
        stalls: Of the machine, which the second bound is not to blame.
        record_property: Keeps the histogram.

    Returns:
        How many versions were seen, and how many rows were written.
    """
    behind = [note for note in notes if isinstance(note, Behind)]
    failed = [note for note in notes if isinstance(note, Failed)]
    written = [note for note in notes if isinstance(note, Written)]
    ages_s = staleness(notes)
    shown = histogram(ages_s, len(written))
    record_property("ages", shown)
    assert not behind, f"{len(behind)} reads lacked their own process's writes: {behind[:3]}"
    assert not failed, f"{len(failed)} reads failed: {failed[:3]}"
    assert max(ages_s) <= bound_s, shown
    healed = max(staleness(notes, healed_s))
    assert healed <= 0.5 * bound_s + stalls.seconds(healed_s, healed_s + 1.0)
    return len(ages_s), len({note.row for note in written})
