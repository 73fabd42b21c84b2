"""Plots as SVG text, for a report or a page. They know numbers and labels, not what was measured; labels may be untrusted.

Text is ``var(--ink)`` and lines are ``var(--line)``, for the page around them to say; ``as_picture`` fills them in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

COLOURS = ("#2563a8", "#c2571a", "#2e7d4f", "#8a3fa0", "#8c6d1f", "#b03a5b")
COLOUR_WORDS = ("blue", "orange", "green", "purple", "ochre", "red")
WIDTH, HEIGHT = 640, 260
_LEFT, _TOP, _RIGHT, _BOTTOM = 48, 12, 16, 30
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def svg(height: int, inside: str, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{inside}</svg>'


def as_picture(plot: str, *, dark: bool, paper: bool = False) -> str:
    """The plot as a file of its own, with colours for a light or a dark page; on ``paper`` of its own, it fits both."""
    ink, line = ("#e6e9ee", "#3a4350") if dark else ("#1c2430", "#d5dae2")
    style = f"<style>text{{fill:{ink};font:12px system-ui,sans-serif}}</style>"
    head, rest = plot.split(">", 1)
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    if paper:
        style += f'<rect width="100%" height="100%" fill="{"#14181e" if dark else "#ffffff"}"/>'
    return f"{head}>{style}{rest}".replace("var(--line)", line).replace("var(--ink)", ink)


def legend(labels: Sequence[str]) -> str:
    shown = (f'<span style="color:{COLOURS[i % len(COLOURS)]}">●</span> {escape(s)}' for i, s in enumerate(labels))
    return f'<p class="mute">{" &nbsp; ".join(shown)}</p>'


def mean_text(mean: Mapping[str, Any] | None) -> str:
    """ "0.812 [0.741, 0.873]"."""
    if mean is None or mean["mean"] is None:
        return "–"
    interval = "" if mean["ci_low"] is None else f" [{mean['ci_low']:.3f}, {mean['ci_high']:.3f}]"
    return f"{mean['mean']:.3f}{interval}"


def whiskers(rows: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> str:
    """A block per name, in it a line per mean: the mean as a dot, its interval as a stroke, on a scale from 0 to 1."""
    step, left = 18, 190
    height = 24 + sum(step * len(means) + 12 for means in rows.values())

    def x(value: float) -> float:
        return left + value * (WIDTH - left - 20)

    marks, y = [], 10
    for name, means in rows.items():
        marks.append(f'<text x="4" y="{y + 12}" font-weight="600">{escape(name)}</text>')
        for i, mean in enumerate(means):
            y += step
            if mean is None or mean["mean"] is None:
                continue
            colour = COLOURS[i % len(COLOURS)]
            if mean["ci_low"] is not None:
                low, high = x(mean["ci_low"]), x(mean["ci_high"])
                marks.append(f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{colour}" stroke-width="2"/>')
            dot = f'<circle cx="{x(mean["mean"]):.1f}" cy="{y}" r="4" fill="{colour}">'
            marks.append(f"{dot}<title>{mean_text(mean)}</title></circle>")
        y += 12
    scale = "".join(
        f'<path d="M{x(v):.1f} 6V{height - 18}" stroke="var(--line)"/>'
        f'<text x="{x(v) - 8:.1f}" y="{height - 4}">{v:g}</text>'
        for v in _TICKS
    )
    return svg(height, scale + "".join(marks), "means and intervals")


def curves(lines: Sequence[Sequence[float] | None], label: str) -> str:
    """Shares for k = 1, 2, …, a line per sequence; None leaves a colour out."""
    most = max((len(line) for line in lines if line), default=1)

    def x(k: int) -> float:
        return _LEFT + (k - 1) / max(1, most - 1) * (WIDTH - _LEFT - _RIGHT)

    drawn = [_shares()]
    drawn += [f'<text x="{x(k) - 4:.1f}" y="{HEIGHT - 8}">{k}</text>' for k in range(1, most + 1)]
    for i, line in enumerate(lines):
        if line:
            points = [(x(k), _y(share)) for k, share in enumerate(line, start=1)]
            drawn.append(_polyline(points, COLOURS[i % len(COLOURS)]))
    return svg(HEIGHT, "".join(drawn), label)


def plane(lines: Sequence[Sequence[tuple[float, float]]], x_label: str, label: str, *, diagonal: bool = False) -> str:
    """Lines through points whose two coordinates are shares (a risk–coverage curve, a reliability diagram)."""

    def x(share: float) -> float:
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    drawn = [_shares(), *(f'<text x="{x(v) - 10:.1f}" y="{HEIGHT - 14}">{v:.0%}</text>' for v in _TICKS)]
    drawn.append(f'<text x="{WIDTH / 2 - 60:.0f}" y="{HEIGHT - 1}">{escape(x_label)}</text>')
    if diagonal:
        drawn.append(f'<path d="M{x(0):.1f} {_y(0):.1f}L{x(1):.1f} {_y(1):.1f}" stroke="var(--line)"/>')
    for i, line in enumerate(lines):
        points = [(x(a), _y(b)) for a, b in line]
        colour = COLOURS[i % len(COLOURS)]
        drawn.append(_polyline(points, colour))
        drawn += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{colour}"/>' for a, b in points]
    return svg(HEIGHT, "".join(drawn), label)


def pareto(points: Sequence[tuple[str, float, float]], front: Sequence[int], quality: str) -> str:
    """Quality against seconds (on a logarithmic scale); who is on the front is filled and joined by a line.

    Args:
        points: (label, seconds, quality) each.
        front: indices of those that nobody beats in both.
        quality: what the quality is called.
    """
    if not points:
        return svg(HEIGHT, "", "nothing is measured yet")
    seconds = [max(s, 1e-5) for _, s, _ in points]
    low_s, high_s = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)) + 1e-9)
    high_s = max(high_s, low_s + 1)
    values = [q for *_, q in points]
    spread = max(max(values) - min(values), 0.02)
    low_q, high_q = min(values) - 0.15 * spread, max(values) + 0.15 * spread
    height = 320

    def x(s: float) -> float:
        return _LEFT + (math.log10(max(s, 1e-5)) - low_s) / (high_s - low_s) * (WIDTH - _LEFT - 150)

    def y(q: float) -> float:
        return height - 40 - (q - low_q) / (high_q - low_q) * (height - 60)

    drawn = []
    for power in range(low_s, high_s + 1):
        at = x(10.0**power)
        drawn.append(f'<path d="M{at:.1f} {_TOP}V{height - 40}" stroke="var(--line)"/>')
        drawn.append(f'<text x="{at - 14:.1f}" y="{height - 24}">{_seconds_text(10.0**power)}</text>')
    for i in range(5):
        q = low_q + i / 4 * (high_q - low_q)
        drawn.append(f'<path d="M{_LEFT} {y(q):.1f}H{WIDTH - 150}" stroke="var(--line)"/>')
        drawn.append(f'<text x="4" y="{y(q) + 4:.1f}">{q:.3f}</text>')
    drawn.append(f'<text x="{_LEFT}" y="{height - 6}">{escape(quality)} over seconds per question</text>')
    joined = sorted((x(points[i][1]), y(points[i][2])) for i in front)
    drawn.append(_polyline(joined, "var(--ink)", 1))
    for i, (label, s, q) in enumerate(points):
        colour = COLOURS[i % len(COLOURS)]
        fill = colour if i in front else "none"
        drawn.append(
            f'<circle cx="{x(s):.1f}" cy="{y(q):.1f}" r="5" stroke="{colour}" stroke-width="2" fill="{fill}">'
            f"<title>{escape(label)}: {q:.3f} in {_seconds_text(s)}</title></circle>"
        )
        drawn.append(f'<text x="{x(s) + 9:.1f}" y="{y(q) + 4:.1f}">{escape(label)}</text>')
    return svg(height, "".join(drawn), "quality against seconds")


def waterfall(steps: Sequence[tuple[str, float]]) -> str:
    """What each step adds to the one before it: the first bar from 0, then a bar from mean to mean."""
    row, left = 30, 230
    height = row * len(steps) + 26
    top = max((value for _, value in steps), default=1.0) or 1.0

    def x(value: float) -> float:
        return left + value / top * (WIDTH - left - 110)

    drawn = []
    for i, (label, value) in enumerate(steps):
        before = steps[i - 1][1] if i else 0.0
        low, high = sorted((before, value))
        colour = "#5c6675" if not i else COLOURS[2] if value >= before else COLOURS[5]
        y = 8 + i * row
        drawn.append(f'<text x="4" y="{y + 14}">{escape(label)}</text>')
        drawn.append(
            f'<rect x="{x(low):.1f}" y="{y}" width="{max(1.0, x(high) - x(low)):.1f}" height="18" fill="{colour}"/>'
        )
        gain = f"{value:.3f}" if not i else f"{value:.3f} ({value - before:+.3f})"
        drawn.append(f'<text x="{x(high) + 6:.1f}" y="{y + 14}">{gain}</text>')
    for i, (_, value) in enumerate(steps[:-1]):
        y = 8 + i * row
        drawn.append(f'<path d="M{x(value):.1f} {y}V{y + row + 18}" stroke="var(--ink)" stroke-dasharray="2 3"/>')
    return svg(height, "".join(drawn), "gain of each step")


def reliability(confidence: Sequence[float], right: Sequence[bool], bins: int = 5) -> list[tuple[float, float]]:
    """Points of a reliability diagram: (mean confidence, share that is right) of equally many questions each."""
    order = sorted(range(len(confidence)), key=lambda i: confidence[i])
    edges = [round(i * len(order) / bins) for i in range(bins + 1)]
    points = []
    for start, stop in pairwise(edges):
        part = order[start:stop]
        if part:
            points.append((sum(confidence[i] for i in part) / len(part), sum(right[i] for i in part) / len(part)))
    return points


def _seconds_text(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _y(share: float) -> float:
    bottom = HEIGHT - _BOTTOM
    return bottom - share * (bottom - _TOP)


def _shares() -> str:
    return "".join(
        f'<path d="M{_LEFT} {_y(v):.1f}H{WIDTH - _RIGHT}" stroke="var(--line)"/>'
        f'<text x="6" y="{_y(v) + 4:.1f}">{v:.0%}</text>'
        for v in _TICKS
    )


def _polyline(points: Sequence[tuple[float, float]], colour: str, width: int = 2) -> str:
    joined = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
