"""An evaluation as Markdown: the tables and plots of ``eval.html_report``, for a repository, an issue or a review.

Plots are pictures within the text (``data:image/svg+xml``), so that the file is whole by itself; where a reader shows none of
those, the tables are left. Takes the same documents; every text in them may be untrusted, and none of it becomes markup or a link.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from eval.html_report import FOUND, found_text, noted_lines, origin_rows, told_apart, unscored_lines
from eval.plots import COLOUR_WORDS, as_picture, mean_text
from eval.report import table
from eval.report_plots import Plot, metric_names, plots_of

_MARKUP = re.compile(r"([\\`*_\[\]!#~])")


def markdown_report(
    result: Mapping[str, Any],
    comparisons: Sequence[Mapping[str, Any]],
    board: Mapping[str, Any] | None = None,
) -> str:
    """The text; ``board`` is the leaderboard of its configurations."""
    configurations = result["configurations"]
    of = result["set"]
    parts = [
        f"# {_inert(of['name'])}: {_inert(' against '.join(c['label'] for c in configurations))}",
        f"{result['n_questions']:,} questions over the collection {_inert(of['collection'])}, begun {_inert(result['created_at'])}; "
        f"{_inert(result['state'])}.",
        "## Means, with 95 % intervals",
        _means(configurations),
        *(f"- {_inert(line)}" for line in (*noted_lines(configurations), *result["notes"])),
        *(f"- without a value: {_inert(line)}" for line in unscored_lines(configurations)),
    ]
    if board is not None and len(board["places"]) > 1:
        parts += [f"## Leaderboard by {_inert(board['metric'])}", _board(board["places"])]
    if result.get("slices"):
        parts += ["## By slice", _slices(result["slices"], [c["label"] for c in configurations])]
    for comparison in comparisons:
        parts += _comparison(comparison)
    for plot in plots_of(result, board).all():
        parts += [f"## Plot: {_inert(plot.heading)}", _picture(plot)]
    rows = [(_inert(k), _inert(str(v))) for k, v in origin_rows(result, comparisons)]
    parts += ["## How it was measured", table(("", ""), rows, style="markdown", left=(0, 1))]
    return "\n\n".join(parts) + "\n"


def _picture(plot: Plot) -> str:
    drawn = base64.b64encode(as_picture(plot.svg, dark=False, paper=True).encode()).decode()
    colours = "; ".join(
        f"{COLOUR_WORDS[i % len(COLOUR_WORDS)]}: {_inert(label)}" for i, label in enumerate(plot.labels)
    )
    return f"![{_inert(plot.heading)}](data:image/svg+xml;base64,{drawn})" + (f"\n\n{colours}" if colours else "")


def _means(configurations: Sequence[Mapping[str, Any]]) -> str:
    names = metric_names(configurations)
    rows = []
    for c in configurations:
        seconds = "–" if c["seconds_per_question"] is None else f"{c['seconds_per_question']:.3f}"
        rows.append((_inert(c["label"]), *(mean_text(c["metrics"].get(name)) for name in names), seconds))
    return table(("", *map(_inert, names), "s / question"), rows, style="markdown")


def _board(places: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"{i}. {_inert(p['label'])}",
            mean_text(p),
            f"{p['seconds']:.4f}",
            told_apart(p),
            "yes" if p["on_front"] else "",
        )
        for i, p in enumerate(places, start=1)
    ]
    headers = ("configuration", "mean", "s / question", "against the first", "nobody better and as fast")
    return table(headers, rows, style="markdown")


def _slices(found: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    rows = [
        (_inert(s["by"]), _inert(s["name"].lstrip("123 ")), str(s["n"]), *(f"{mean:.3f}" for mean in s["means"]))
        for s in found
    ]
    headers = (_inert(found[0]["metric"]), "", "questions", *map(_inert, labels))
    return table(headers, rows, style="markdown", left=(0, 1))


def _comparison(comparison: Mapping[str, Any]) -> list[str]:
    rows = [
        (_inert(m["metric"]), str(m["wins"]), str(m["losses"]), str(m["ties"]), found_text(m), _inert(m["text"]))
        for m in comparison["metrics"]
    ]
    return [
        f"## B = {_inert(comparison['b']['label'])} against A = {_inert(comparison['a']['label'])}",
        table(("metric", "wins", "losses", "ties", FOUND, "result"), rows, style="markdown", left=(0, 5)),
        *(f"- {_inert(note)}" for note in comparison["notes"]),
    ]


def _inert(text: str) -> str:
    """``text`` as it reads, in one line: nothing in it is markup."""
    return _MARKUP.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
