"""The plots of an evaluation's report, drawn once for the page and for Markdown. Each is there only where there is something to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.compare import NOT_SHARES
from eval.plots import curves, pareto, plane, reliability, waterfall, whiskers

LEAST_JUDGED = 10  # answers, below which a curve over confidence says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """``labels``: of the colours, in their order; empty where the plot names everything itself."""

    heading: str
    svg: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    means: Plot
    quality_and_seconds: Plot | None
    found_among: Plot | None
    steps: Plot | None
    sureness: tuple[Plot, ...]  # risk over coverage, and reliability

    def all(self) -> list[Plot]:
        found = (self.means, self.quality_and_seconds, self.found_among, self.steps, *self.sureness)
        return [plot for plot in found if plot is not None]


def plots_of(result: Mapping[str, Any], board: Mapping[str, Any] | None) -> Plots:
    """``board`` is the leaderboard of the result's configurations."""
    configurations = result["configurations"]
    labels = tuple(c["label"] for c in configurations)
    shares = [name for name in metric_names(configurations) if name not in NOT_SHARES]
    return Plots(
        means=Plot(
            heading="Means, with 95 % intervals",
            svg=whiskers({name: [c["metrics"].get(name) for c in configurations] for name in shares}),
            labels=labels,
        ),
        quality_and_seconds=_pareto(board) if board is not None and len(board["places"]) > 1 else None,
        found_among=_found_among(configurations, labels),
        steps=_steps(configurations, result["metric"]),
        sureness=_sureness(result),
    )


def metric_names(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of any configuration, in order."""
    return list(dict.fromkeys(name for c in configurations for name in c["metrics"]))


def _pareto(board: Mapping[str, Any]) -> Plot:
    points = [(p["label"], p["seconds"], p["mean"]) for p in board["places"]]
    front = [i for i, p in enumerate(board["places"]) if p["on_front"]]
    return Plot(heading=f"Leaderboard by {board['metric']}", svg=pareto(points, front, board["metric"]))


def _found_among(configurations: Sequence[Mapping[str, Any]], labels: tuple[str, ...]) -> Plot | None:
    shown = [c.get("recall_curve") for c in configurations]
    if not any(shown):
        return None
    said = "share of the right passages among the first k"
    return Plot(heading="Found among the first k passages", svg=curves(shown, said), labels=labels)


def _steps(configurations: Sequence[Mapping[str, Any]], metric: str) -> Plot | None:
    """Where every configuration has a mean of it."""
    means = [c["metrics"].get(metric, {}).get("mean") for c in configurations]
    if None in means or len(configurations) < 2:
        return None
    steps = [(c["label"], mean) for c, mean in zip(configurations, means, strict=True)]
    return Plot(heading=f"From one to the next, by {metric}", svg=waterfall(steps))


def _sureness(result: Mapping[str, Any]) -> tuple[Plot, ...]:
    """Risk–coverage and reliability of configurations that say how sure they are and can be wrong."""
    risks, sure, labels = [], [], []
    for i, c in enumerate(result["configurations"]):
        rows = [q["results"][i] for q in result["questions"] if q["results"][i]]
        judged = [
            (float(r["confidence"]), bool(r["metrics"]["wrong"]))
            for r in rows
            if r.get("confidence") is not None and r["metrics"].get("wrong") is not None and not r.get("abstained")
        ]
        if len(judged) < LEAST_JUDGED:
            continue
        judged.sort(reverse=True)
        wrong = 0
        points = []
        for n, (_, bad) in enumerate(judged, start=1):
            wrong += bad
            points.append((n / len(rows), wrong / n))
        risks.append(points)
        sure.append(reliability([s for s, _ in judged], [not bad for _, bad in judged]))
        labels.append(c["label"])
    if not risks:
        return ()
    return (
        Plot(
            heading="Wrong among the surest answers (risk and coverage)",
            svg=plane(risks, "share of the questions that is answered", "risk over coverage"),
            labels=tuple(labels),
        ),
        Plot(
            heading="Right at each confidence (reliability)",
            svg=plane(sure, "confidence", "share that is right over confidence", diagonal=True),
            labels=tuple(labels),
        ),
    )
