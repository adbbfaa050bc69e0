"""The page of hit ratios, in Markdown: verdicts, every cell, where ours is beaten."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import hits
import traces
from hits import OPTIMUM, OURS, Cell

_PACKAGES = ("cachebox", "cachetools", "lru-dict", "moka-py", "theine")

_HEAD = """\
# Hit ratios

This page and its plot are written by a script; the traces are recorded ones that are not part of
this repository.

```sh
python benches/hit_ratio.py FOLDER --markdown docs/hit_ratio.md --plot docs/hit_ratio.svg
```

Every cache is asked for each key of a trace in turn and given those that it misses. It has room for
2 % or 10 % of the trace's distinct keys. Of a trace at most the first {most:,} requests are read.
Figures are hits in percent of the requests.

![Hits of every cache on every trace](hit_ratio.svg)
"""


def page(cells: Sequence[Cell]) -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD.format(most=max(cell.requests for cell in cells)),
            _verdicts(cells),
            _every_cell(cells),
            _beaten(cells),
            _traces(cells),
        ]
    )


def _verdicts(cells: Sequence[Cell]) -> str:
    lines = [
        f"- {'holds' if verdict.holds else 'MISSED'}: {verdict.claim} ({verdict.measured:+.2f})"
        for verdict in hits.verdicts(cells)
    ]
    return "## Budgets\n\n" + "\n".join(lines) + "\n"


def _every_cell(cells: Sequence[Cell]) -> str:
    names = [OPTIMUM, OURS, *hits.shown(cells)]
    mean = hits.means(cells)
    rows = [[cell.name, f"{cell.capacity:,}", *_marked(cell.hits, names)] for cell in cells]
    rows.append(["**mean**", "", *_marked(mean, names)])
    same = ", ".join(hits.same_as_lru(cells))
    meaning = (
        "`tierline` is the default policy. The optimum is Bélády's: what is asked for last goes"
        " first; it must keep what it is given, so that a cache that refuses keys may do a little"
        " better. LRU, SIEVE and S3-FIFO are plain simulators of the papers' policies; the others"
        f" are the packages themselves ({_versions()}). theine and moka tlfu differ by a point or"
        " two from run to run, the others not at all. The best of a row, but for the optimum, is"
        " bold."
    )
    left_out = f"These hit as LRU does in every cell and have no column: {same}."
    return "\n".join(
        [
            "## Every cell\n",
            f"{_filled(meaning)}\n",
            _table(["trace and capacity", "entries", *names], rows),
            f"{_filled(left_out)}\n",
        ]
    )


def _beaten(cells: Sequence[Cell]) -> str:
    names = hits.shown(cells)
    rows = [
        [
            cell.name,
            f"{cell.hits[OURS]:.1f}",
            ", ".join(f"{name} {points:+.1f}" for name, points in ahead.items()),
        ]
        for cell in cells
        if (ahead := hits.better(cell, names))
    ]
    return f"""\
## Where ours is beaten

In {len(rows)} of {len(cells)} cells somebody is ahead by at least 0.05 points.

{_table(["trace and capacity", OURS, "points ahead"], rows)}"""


def _traces(cells: Sequence[Cell]) -> str:
    once = {cell.trace: cell for cell in cells}
    rows = [
        [name, traces.ORIGINS[name], f"{cell.requests:,}", f"{cell.keys:,}"]
        for name, cell in once.items()
    ]
    return f"""\
## The traces

{_table(["trace", "what it records", "requests read", "distinct keys"], rows)}"""


def _marked(row: dict[str, float], names: Sequence[str]) -> list[str]:
    """A row's figures with the best in bold; ties of what is printed are all best."""
    printed = {name: f"{row[name]:.1f}" for name in names}
    best = max(float(printed[name]) for name in names if name != OPTIMUM)
    return [
        f"**{figure}**" if name != OPTIMUM and float(figure) == best else figure
        for name, figure in printed.items()
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = [
        "---:" if all(_is_figure(row[at]) for row in rows) else "---" for at in range(len(head))
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, align, *rows))


def _is_figure(text: str) -> bool:
    return not text or text.strip("*").replace(",", "").replace(".", "").isdigit()


def _filled(text: str) -> str:
    return textwrap.fill(text, width=100, break_on_hyphens=False)


def _versions() -> str:
    found: list[str] = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
