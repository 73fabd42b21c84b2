"""An evaluation as one self-contained HTML page: tables, plots as inline SVG, configuration and hashes. Nothing is fetched.

Takes what ``GET /v1/evals/{id}/result`` and ``…/compare`` answer; every text in it may be untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_COLOURS = ("#2563a8", "#c2571a", "#2e7d4f", "#8a3fa0", "#8c6d1f", "#b03a5b")
_WIDTH, _HEIGHT = 640, 260
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --mute: #5c6675; --line: #d5dae2; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --mute: #9aa4b2; --line: #3a4350; --paper: #14181e; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 56rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto } th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } .mute { color: var(--mute); font-size: .85rem }
svg { width: 100%; height: auto } svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
code { font-size: .8rem; overflow-wrap: anywhere } .said { padding: .6rem .9rem; border-left: 3px solid #2563a8 }
"""


def html_report(result: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    configurations = result["configurations"]
    of = result["set"]
    parts = [
        f"<h1>{escape(of['name'])}: {escape(' against '.join(c['label'] for c in configurations))}</h1>",
        f'<p class="mute">{result["n_questions"]:,} questions over the collection {escape(of["collection"])}, begun '
        f"{escape(result['created_at'])}; {escape(result['state'])}.</p>",
        "<h2>Means, with 95 % intervals</h2>",
        _means(configurations),
        _whiskers(configurations),
    ]
    if any(c.get("recall_curve") for c in configurations):
        parts += ["<h2>Found among the first k passages</h2>", _curve(configurations)]
    for comparison in comparisons:
        parts.append(_comparison(comparison))
    parts += ["<h2>Questions</h2>", _questions(result), "<h2>How it was measured</h2>", _origin(result, comparisons)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(of['name'])}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _metrics(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for c in configurations for name in c["metrics"]))


def mean_text(mean: Mapping[str, Any] | None) -> str:
    """ "0.812 [0.741, 0.873]"."""
    if mean is None or mean["mean"] is None:
        return "–"
    interval = "" if mean["ci_low"] is None else f" [{mean['ci_low']:.3f}, {mean['ci_high']:.3f}]"
    return f"{mean['mean']:.3f}{interval}"


def _means(configurations: Sequence[Mapping[str, Any]]) -> str:
    names = _metrics(configurations)
    head = "".join(f"<th>{escape(text)}</th>" for text in ("", *names, "s / question", "characters read"))
    rows = []
    for c in configurations:
        cells = [mean_text(c["metrics"].get(name)) for name in names]
        cells += [_number(c["seconds_per_question"], 3), _number(c["characters_read"], 0)]
        rows.append(f"<tr><td>{escape(c['label'])}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _whiskers(configurations: Sequence[Mapping[str, Any]]) -> str:
    """A row per metric and configuration: the mean as a dot, its interval as a line, on a scale from 0 to 1."""
    names = _metrics(configurations)
    step, left = 18, 190
    height = 24 + sum(step * len(configurations) + 12 for _ in names)
    marks, y = [], 10
    for name in names:
        marks.append(f'<text x="4" y="{y + 12}" font-weight="600">{escape(name)}</text>')
        for i, c in enumerate(configurations):
            mean = c["metrics"].get(name)
            y += step
            if mean is None or mean["mean"] is None:
                continue
            colour = _COLOURS[i % len(_COLOURS)]
            at = _x(mean["mean"], left)
            if mean["ci_low"] is not None:
                low, high = _x(mean["ci_low"], left), _x(mean["ci_high"], left)
                marks.append(f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{colour}" stroke-width="2"/>')
            marks.append(
                f'<circle cx="{at:.1f}" cy="{y}" r="4" fill="{colour}"><title>{mean_text(mean)}</title></circle>'
            )
        y += 12
    scale = "".join(
        f'<path d="M{_x(v, left):.1f} 6V{height - 18}" stroke="var(--line)"/>'
        f'<text x="{_x(v, left) - 8:.1f}" y="{height - 4}">{v:g}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    return _svg(height, scale + "".join(marks), "means and intervals") + _legend(configurations)


def _x(value: float, left: int) -> float:
    return left + value * (_WIDTH - left - 20)


def _curve(configurations: Sequence[Mapping[str, Any]]) -> str:
    left, top, bottom = 44, 10, _HEIGHT - 26

    def x(k: int) -> float:
        return left + (k - 1) / 9 * (_WIDTH - left - 16)

    def y(share: float) -> float:
        return bottom - share * (bottom - top)

    drawn = [
        f'<path d="M{left} {y(v):.1f}H{_WIDTH - 16}" stroke="var(--line)"/>'
        f'<text x="6" y="{y(v) + 4:.1f}">{v:.0%}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    ]
    drawn += [f'<text x="{x(k) - 4:.1f}" y="{_HEIGHT - 6}">{k}</text>' for k in range(1, 11)]
    for i, c in enumerate(configurations):
        if not c.get("recall_curve"):
            continue
        points = " ".join(f"{x(k):.1f},{y(share):.1f}" for k, share in enumerate(c["recall_curve"], start=1))
        colour = _COLOURS[i % len(_COLOURS)]
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return _svg(_HEIGHT, "".join(drawn), "share of the questions answered among the first k") + _legend(configurations)


def _svg(height: int, inside: str, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{inside}</svg>'


def _legend(configurations: Sequence[Mapping[str, Any]]) -> str:
    shown = (
        f'<span style="color:{_COLOURS[i % len(_COLOURS)]}">●</span> {escape(c["label"])}'
        for i, c in enumerate(configurations)
    )
    return f'<p class="mute">{" &nbsp; ".join(shown)}</p>'


def _comparison(comparison: Mapping[str, Any]) -> str:
    a, b = escape(comparison["a"]["label"]), escape(comparison["b"]["label"])
    said = "".join(
        f"<tr><td>{escape(m['metric'])}</td><td>{m['wins']}</td><td>{m['losses']}</td><td>{m['ties']}</td>"
        f'<td style="text-align:left">{escape(m["text"])}</td></tr>'
        for m in comparison["metrics"]
    )
    notes = "".join(f'<p class="mute">{escape(note)}</p>' for note in comparison["notes"])
    return (
        f"<h2>B = {b} against A = {a}</h2>"
        f'<p class="said">{escape(comparison["metrics"][0]["metric"])}: {escape(comparison["metrics"][0]["text"])}</p>'
        '<div class="scroll"><table><tr><th>metric</th><th>wins</th><th>losses</th><th>ties</th>'
        f'<th style="text-align:left">result</th></tr>{said}</table></div>{notes}'
    )


def _questions(result: Mapping[str, Any]) -> str:
    configurations = result["configurations"]
    if not configurations or not configurations[0]["metrics"]:
        return "<p>Nothing is measured yet.</p>"
    metric = next(iter(configurations[0]["metrics"]))
    head = "".join(f"<th>{escape(text)}</th>" for text in ("question", "kind", *(c["label"] for c in configurations)))
    rows = []
    for q in result["questions"]:
        values = [r["metrics"].get(metric) if r else None for r in q["results"]]
        cells = "".join(f"<td>{_number(v, 3)}</td>" for v in values)
        rows.append(f"<tr><td>{escape(q['question'])}</td><td>{escape(q['kind'])}</td>{cells}</tr>")
    return (
        f'<details><summary>{escape(metric)} of each question</summary><div class="scroll"><table><tr>{head}</tr>'
        f"{''.join(rows)}</table></div></details>"
    )


def _origin(result: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    origin = ", ".join(f"{k} {v}" for k, v in result["set"]["origin"].items() if isinstance(v, str | int | float))
    rows = [
        ("questions", f"{result['set']['set_id']}; {origin}"),
        ("SHA-256 of the questions", result["questions_sha256"]),
        ("evaluation", result["eval_id"]),
    ]
    chosen = ("retriever", "fusion", "rerank", "chunker", "strategy", "passages", "index_seconds")
    for c in result["configurations"]:
        said = ", ".join(f"{k} {c[k]}" for k in chosen if c.get(k) not in (None, False))
        rows.append((c["label"], f"{said}; {c['key']}"))
    if comparisons:
        c = comparisons[0]
        rows.append(
            (
                "statistics",
                f"paired randomisation with {c['n_flips']:,} sign flips, bootstrap with {c['n_bootstrap']:,} resamples, "
                f"Holm over the metrics of a comparison, α {c['alpha']}, seed {c['seed']}",
            )
        )
    cells = "".join(
        f'<tr><td>{escape(k)}</td><td style="text-align:left"><code>{escape(str(v))}</code></td></tr>' for k, v in rows
    )
    return (
        f'<div class="scroll"><table>{cells}</table></div>'
        '<p class="mute">A configuration’s hash follows from the documents, how they were made, the settings and the choice: '
        "equal hashes are equal measurements. A passage counts as found if it holds half of the span that answers.</p>"
    )
