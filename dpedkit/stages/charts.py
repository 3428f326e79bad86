"""Charts for reports, as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dpedkit.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]

_COLORS = ("#2f6f8f", "#c8663a", "#5b8c5a", "#7d5ba6")


def line_chart(series: Series, *, x: str, y: str, log: bool = False) -> str:
    """Draw lines: name -> (xs, ys); a short one gets its points marked, an empty one keeps its colour from others."""
    figure, axes = _canvas(x, y)
    for color, (name, (xs, ys)) in zip(_COLORS * len(series), series.items(), strict=False):
        if len(xs):
            axes.plot(xs, ys, color=color, label=name, linewidth=1.5, marker="o" if len(xs) < 30 else "", markersize=3)
    if log:
        axes.set_yscale("log")
    if any(len(xs) for xs, _ in series.values()):
        axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def histogram(groups: Mapping[str, Sequence[float]], *, x: str, y: str, bins: int = 24) -> str:
    """Draw stacked histograms: name -> values."""
    figure, axes = _canvas(x, y)
    named = {name: list(values) for name, values in groups.items() if len(values)}
    if named:
        axes.hist(list(named.values()), bins=bins, stacked=True, label=list(named), color=_COLORS[: len(named)])
        if len(named) > 1:
            axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _canvas(x: str, y: str) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "train") from error
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(which="both", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
