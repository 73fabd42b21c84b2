"""Leaderboards: of one evaluation, or of all that was ever measured on a set of questions and still holds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from app.eval_configs import Configuration
from app.eval_keys import not_stale, result_key
from app.eval_results import Measured, first_metric, measured_of
from core.errors import InvalidRequest
from core.types import Principal
from eval.leaderboard import Contender, leaderboard
from eval.plots import as_picture, pareto

if TYPE_CHECKING:
    from app.services import Services


def board_of(measured: Sequence[Measured], metric: str | None = None) -> dict[str, Any]:
    """The places by ``metric`` (``first_metric``, where none is named), over the questions that all have a value of.

    Raises:
        InvalidRequest: a metric that none of them has.
    """
    measured = [m for m in measured if not m.all_failed]
    named = list(dict.fromkeys(name for m in measured for name in m.metrics))
    if metric is None:
        metric = first_metric(measured)
    elif metric not in named:
        raise InvalidRequest(f"unknown metric {metric!r}: these have {', '.join(named) or 'none yet'}", code="usage")
    full = [(m, _values(m, metric)) for m in measured]
    shown = [(m, values) for m, values in full if values]
    contenders = [
        Contender(label=m.configuration.label(), values=values, seconds=fmean(r["seconds"] for r in m.rows.values()))
        for m, values in shown
    ]
    places = leaderboard(contenders, metric)
    plot = pareto(
        [(p.label, p.seconds, p.mean) for p in places], [i for i, p in enumerate(places) if p.on_front], metric
    )
    return {
        "metric": metric,
        "metrics": named,
        "pareto_svg": {"light": as_picture(plot, dark=False), "dark": as_picture(plot, dark=True)},
        "n_questions": places[0].n if places else 0,
        "places": [{**p.to_json(), "configuration": shown[p.index][0].configuration.to_json()} for p in places],
    }


def board_of_set(
    services: Services, principal: Principal, set_id: str, kind: str, metric: str | None = None
) -> dict[str, Any]:
    """Every configuration of this kind that some evaluation of the set has measured with the documents and settings of
    now, over the questions of the newest one that can still be asked. Those that lack some of these, though they could have been asked,
    are named in ``incomplete``.

    Raises:
        NotFound: no such set.
        InvalidRequest: a metric that none of them has.
    """
    of = services.eval_sets.get(principal, set_id)
    runs = [r for r in services.eval_runs.all_of(principal, set_id) if r.configurations[0].kind == kind]
    configurations: dict[Configuration, None] = {c: None for run in runs for c in run.configurations}
    by_id = {q.question_id: q for q in services.eval_sets.questions(principal, set_id)}
    newest = [by_id[i] for run in runs[:1] for i in run.questions if i in by_id]
    questions = not_stale(services, principal, of, [q for q in newest if kind == "qa" or q.answerable])
    measured, incomplete = [], []
    for configuration in configurations:
        try:
            key = result_key(services, principal, of.collection, configuration, questions)
        except InvalidRequest:  # its model or prompts are no longer there
            incomplete.append({"label": configuration.label(), "measured": 0})
            continue
        found = measured_of(services.eval_runs, configuration, key, questions)
        if (
            found.rows
            and not found.all_failed
            and all(q.question_id in found.rows or q.question_id in found.left_out for q in questions)
        ):
            measured.append(found)
        else:
            incomplete.append({"label": configuration.label(), "measured": len(found.rows)})
    return {"kind": kind, "set_id": set_id, **board_of(measured, metric), "incomplete": incomplete}


def _values(measured: Measured, metric: str) -> dict[str, float]:
    found = {q: row["metrics"].get(metric) for q, row in measured.rows.items()}
    return {q: value for q, value in found.items() if value is not None}
