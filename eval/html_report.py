"""An evaluation as one self-contained HTML page: tables, plots as inline SVG, configuration and hashes. Nothing is fetched.

Takes what ``GET /v1/evals/{id}/result`` and ``…/compare`` answer; every text in it may be untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from eval.compare import size
from eval.plots import legend, mean_text
from eval.report_plots import Plot, metric_names, plots_of

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


def html_report(
    result: Mapping[str, Any],
    comparisons: Sequence[Mapping[str, Any]],
    board: Mapping[str, Any] | None = None,
    seen: Mapping[str, Any] | None = None,
) -> str:
    """The page; ``board`` is the leaderboard of its configurations, ``seen`` what questions share with the collection."""
    configurations = result["configurations"]
    labels = [c["label"] for c in configurations]
    plots = plots_of(result, board)
    of = result["set"]
    parts = [
        f"<h1>{escape(of['name'])}: {escape(' against '.join(c['label'] for c in configurations))}</h1>",
        f'<p class="mute">{result["n_questions"]:,} questions over the collection {escape(of["collection"])}, begun '
        f"{escape(result['created_at'])}; {escape(result['state'])}.</p>",
        _heading(plots.means),
        _means(configurations),
        *(f'<p class="mute">{escape(line)}</p>' for line in (*noted_lines(configurations), *result["notes"])),
        _unscored(configurations),
        _drawn(plots.means),
    ]
    if board is not None and plots.quality_and_seconds is not None:
        parts += [_heading(plots.quality_and_seconds), _board(board["places"]), _drawn(plots.quality_and_seconds)]
    for plot in (plots.found_among, plots.steps):
        parts += [] if plot is None else [_heading(plot), _drawn(plot)]
    if result.get("slices"):
        parts += ["<h2>By slice</h2>", _slices(result["slices"], labels)]
    for plot in plots.sureness:
        parts += [_heading(plot), _drawn(plot)]
    for comparison in comparisons:
        parts.append(_comparison(comparison, result["metric"]))
    parts += [
        "<h2>Questions</h2>",
        _questions(result),
        _seen(seen),
        "<h2>How it was measured</h2>",
        _origin(result, comparisons),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(of['name'])}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _heading(plot: Plot) -> str:
    return f"<h2>{escape(plot.heading)}</h2>"


def _drawn(plot: Plot) -> str:
    return plot.svg + (legend(plot.labels) if plot.labels else "")


def _means(configurations: Sequence[Mapping[str, Any]]) -> str:
    names = metric_names(configurations)
    head = "".join(f"<th>{escape(text)}</th>" for text in ("", *names, "s / question", "characters read"))
    rows = []
    for c in configurations:
        cells = [mean_text(c["metrics"].get(name)) for name in names]
        cells += [_number(c["seconds_per_question"], 3), _number(c["characters_read"], 0)]
        rows.append(f"<tr><td>{escape(c['label'])}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def noted_lines(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each configuration, what its means do not show of the questions that they are of."""
    return [f"{c['label']}: {note}" for c in configurations for note in c.get("notes", ())]


def unscored_lines(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each configuration and metric, how many questions are in no mean, and why."""
    return [
        f"{c['label']}, {metric}: " + ", ".join(f"{n:,} ({why})" for why, n in reasons.items())
        for c in configurations
        for metric, reasons in c.get("unscored", {}).items()
    ]


def _unscored(configurations: Sequence[Mapping[str, Any]]) -> str:
    told = "<br>".join(map(escape, unscored_lines(configurations)))
    return f'<details class="mute"><summary>Questions without a value</summary>{told}</details>' if told else ""


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _board(places: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{i}. {escape(p['label'])}</td><td>{mean_text(p)}</td><td>{_number(p['seconds'], 4)}</td>"
        f"<td>{told_apart(p)}</td><td>{'yes' if p['on_front'] else ''}</td></tr>"
        for i, p in enumerate(places, start=1)
    )
    return (
        '<div class="scroll"><table><tr><th>configuration</th><th>mean</th><th>s / question</th><th>against the first'
        f"</th><th>nobody better and as fast</th></tr>{rows}</table></div>"
    )


def told_apart(place: Mapping[str, Any]) -> str:
    """ "worse, p 0.003", or that the data do not tell."""
    if place["p_holm"] is None:
        return "–"
    return "not told apart" if place["tied"] else f"worse, p {place['p_holm']:.3g} (Holm)"


FOUND = "found in 80 %"  # of a column


def found_text(m: Mapping[str, Any]) -> str:
    """Which differences of a metric these questions find in 80 % of cases, after Holm's correction."""
    found = m["detectable_difference"]
    return "–" if found is None else f"{size(found)} or more"


def _comparison(comparison: Mapping[str, Any], metric: str) -> str:
    """``metric``: what is said first, where it is compared."""
    a, b = escape(comparison["a"]["label"]), escape(comparison["b"]["label"])
    said = "".join(
        f"<tr><td>{escape(m['metric'])}</td><td>{m['wins']}</td><td>{m['losses']}</td><td>{m['ties']}</td>"
        f"<td>{found_text(m)}</td>"
        f'<td style="text-align:left">{escape(m["text"])}</td></tr>'
        for m in comparison["metrics"]
    )
    notes = "".join(f'<p class="mute">{escape(note)}</p>' for note in comparison["notes"])
    first = next((m for m in comparison["metrics"] if m["metric"] == metric), comparison["metrics"][0])
    return (
        f"<h2>B = {b} against A = {a}</h2>"
        f'<p class="said">{escape(first["metric"])}: {escape(first["text"])}</p>'
        '<div class="scroll"><table><tr><th>metric</th><th>wins</th><th>losses</th><th>ties</th>'
        f"<th>{FOUND}</th>"
        f'<th style="text-align:left">result</th></tr>{said}</table></div>{notes}'
    )


def _questions(result: Mapping[str, Any]) -> str:
    configurations = result["configurations"]
    if not configurations or not configurations[0]["metrics"]:
        return "<p>Nothing is measured yet.</p>"
    metric = result["metric"]
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


def _slices(found: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(t)}</th>" for t in (found[0]["metric"], "", "questions", *labels))
    rows = "".join(
        f"<tr><td>{escape(s['by'])}</td><td>{escape(s['name'].lstrip('123 '))}</td><td>{s['n']}</td>"
        f"{''.join(f'<td>{m:.3f}</td>' for m in s['means'])}</tr>"
        for s in found
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _seen(seen: Mapping[str, Any] | None) -> str:
    if seen is None:
        return ""
    return "".join(
        f'<p class="mute">{s["contaminated"]:,} of {seen["n_questions"]:,} questions share half or more of their runs of '
        f"{seen['n']} words with the collection, word for word; {seen['n_short']:,} are too short to tell. Searching by words "
        "finds such questions easily.</p>"
        for s in seen["sources"]
    )


def origin_rows(result: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What it takes to repeat it: names and what stands beside them."""
    origin = ", ".join(f"{k} {v}" for k, v in result["set"]["origin"].items() if isinstance(v, str | int | float))
    rows = [
        ("questions", f"{result['set']['set_id']}; {origin}"),
        ("SHA-256 of the questions", result["questions_sha256"]),
        ("evaluation", result["eval_id"]),
    ]
    chosen = (
        "retriever",
        "fusion",
        "rerank",
        "chunker",
        "strategy",
        "model",
        "prompts",
        "contexts",
        "stress",
        "passages",
        "index_seconds",
    )
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
    return rows


def _origin(result: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    cells = "".join(
        f'<tr><td>{escape(k)}</td><td style="text-align:left"><code>{escape(str(v))}</code></td></tr>'
        for k, v in origin_rows(result, comparisons)
    )
    return (
        f'<div class="scroll"><table>{cells}</table></div>'
        '<p class="mute">A configuration’s hash follows from the documents, how they were made, the settings and the choice: '
        "equal hashes are equal measurements. A passage counts as found if it holds half of the span that answers; of a question that "
        "names a document alone, any passage of that document counts.</p>"
    )
