"""The plot of hit ratios: a panel a trace, a row a cache, a dot a capacity."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hits
from hits import OPTIMUM, OURS, Cell

_COLUMNS = 3
_PANEL_INCHES = (3.4, 2.5)
_OURS_COLOUR, _OTHER_COLOUR, _OPTIMUM_COLOUR = "#c2410c", "#475569", "#0f766e"
_FILE_OPTIONS = {
    # The same figures make the same file.
    "svg.hashsalt": "tierline",
    "svg.fonttype": "path",
    "font.size": 8,
}


def draw(cells: Sequence[Cell], file: Path) -> None:
    """Write the plot in the format that the file's name ends with."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    pyplot.rcParams.update(_FILE_OPTIONS)
    names = _rows(cells)
    traces = list(dict.fromkeys(cell.trace for cell in cells))
    rows = math.ceil(len(traces) / _COLUMNS)
    width, height = _PANEL_INCHES
    figure, panels = pyplot.subplots(
        rows,
        _COLUMNS,
        figsize=(_COLUMNS * width, rows * height + 0.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.flat[len(traces) :]:
        panel.set_visible(False)
    for panel, trace in zip(panels.flat, traces, strict=False):
        _draw_panel(panel, trace, [cell for cell in cells if cell.trace == trace], names)
    dots = [
        pyplot.Line2D([], [], **_dot(_OTHER_COLOUR, filled=filled), linestyle="", label=label)
        for filled, label in ((False, "room for 2 % of the keys"), (True, "room for 10 %"))
    ]
    figure.legend(handles=dots, loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("hits in percent of the requests; the lines go through ours", fontsize=8)
    # A date would make another file of the same figures.
    options = {"metadata": {"Date": None, "Creator": None}} if file.suffix == ".svg" else {}
    figure.savefig(file, dpi=110, **options)
    pyplot.close(figure)


def _rows(cells: Sequence[Cell]) -> list[str]:
    """From the bottom up: the worst mean first, at last ours and the optimum."""
    return [*reversed(hits.shown(cells)), OURS, OPTIMUM]


def _draw_panel(panel: Any, trace: str, cells: Sequence[Cell], names: Sequence[str]) -> None:
    for cell in cells:
        filled = cell.share == 10
        panel.axvline(cell.hits[OURS], color=_OURS_COLOUR, linewidth=0.7, alpha=0.5, zorder=1)
        for colour in (_OTHER_COLOUR, _OURS_COLOUR, _OPTIMUM_COLOUR):
            rows = [row for row, name in enumerate(names) if _colour(name) == colour]
            along = [cell.hits[names[row]] for row in rows]
            panel.plot(along, rows, **_dot(colour, filled=filled), linestyle="", zorder=3)
    panel.set_title(trace, fontsize=9, fontweight="bold")
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.grid(visible=True, color="#e2e8f0", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    for label in panel.get_yticklabels():
        label.set_color(_colour(label.get_text()))
        if label.get_text() == OURS:
            label.set_fontweight("bold")


def _colour(name: str) -> str:
    return {OURS: _OURS_COLOUR, OPTIMUM: _OPTIMUM_COLOUR}.get(name, _OTHER_COLOUR)


def _dot(colour: str, *, filled: bool) -> dict[str, object]:
    return {
        "marker": "o",
        # Where both are alike, each is seen.
        "markersize": 4.0 if filled else 6.5,
        "markeredgecolor": colour,
        "markerfacecolor": colour if filled else "white",
    }
