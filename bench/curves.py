"""Curves with intervals as an SVG file, without a library. Knows numbers and names, not what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_COLOURS = ("#2f6f9f", "#b5542c", "#3f7f4f", "#7a4f9a", "#8a6d1f")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 300, 56, 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """``low`` and ``high`` bound ``y``; ``label`` stands beside it."""

    x: float
    y: float
    low: float
    high: float
    label: str = ""


def draw(path: Path, panels: Mapping[str, Mapping[str, Sequence[Point]]], x_name: str, y_name: str) -> None:
    """One panel beside the other, each a title with its curves by name; x is logarithmic, y from 0."""
    parts = [_panel(title, curves, x_name, y_name, i) for i, (title, curves) in enumerate(panels.items())]
    size = f'width="{_WIDTH * len(parts)}" height="{_HEIGHT + 70}"'
    style = "<style>text{font:12px sans-serif;fill:#333}.t{font-weight:bold;font-size:13px}.g{stroke:#ddd}</style>"
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<rect width="100%" height="100%" fill="#fff"/>{style}\n{body}\n</svg>\n',
        "utf-8",
    )


def _panel(title: str, curves: Mapping[str, Sequence[Point]], x_name: str, y_name: str, at: int) -> str:
    points = [p for curve in curves.values() for p in curve]
    first, last = math.log(min(p.x for p in points) * 0.8), math.log(max(p.x for p in points) * 1.25)
    top = max(0.05, max(p.high for p in points) * 1.05)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - first) / (last - first)
        return _LEFT + across * (_WIDTH - _LEFT - 20), 30 + (1 - y / top) * (_HEIGHT - 30 - _BOTTOM)

    out = [f'<g transform="translate({at * _WIDTH},0)">', f'<text class="t" x="{_LEFT}" y="18">{escape(title)}</text>']
    for i in range(5):
        y = top * i / 4
        _, py = place(math.exp(first), y)
        out.append(f'<line class="g" x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{py:.1f}" y2="{py:.1f}"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.2f}</text>')
    for x in (2**n for n in range(24)):
        if first <= math.log(x) <= last:
            px, py = place(x, 0)
            out.append(f'<text x="{px:.1f}" y="{py + 16:.1f}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>')
    out.append(f'<text x="12" y="{_HEIGHT / 2}" transform="rotate(-90 12 {_HEIGHT / 2})">{escape(y_name)}</text>')
    for n, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(p.x, p.y) for p in curve))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in curve:
            (x, y), (_, low), (_, high) = place(p.x, p.y), place(p.x, p.low), place(p.x, p.high)
            out.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" opacity=".5"/>'
            )
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            out.append(f'<text x="{x + 5:.1f}" y="{y - 5:.1f}" style="fill:{colour}">{escape(p.label)}</text>')
        out.append(f'<text x="{_LEFT}" y="{_HEIGHT + 14 + 16 * n}" style="fill:{colour}">— {escape(name)}</text>')
    return "\n".join([*out, "</g>"])
