"""Runs as they were saved, whatever saved them: our own JSON results, or TREC run files with judgements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest, NotFound
from eval.jsonl import bad_data
from eval.metrics.ranking import evaluate_run, parse_metric
from eval.retrieval import STANDARD_METRICS
from eval.trec import read_qrels, read_run

_HUGE = 1e300  # of no metric; infinities and NaN are not below it


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run as it was saved. ``data`` names what it was measured on; empty where the file does not say."""

    path: str
    label: str
    kind: str  # "retrieval", "qa", "faithfulness" or "trec"
    data: str
    data_sha256: str
    per_query: Mapping[str, Mapping[str, float | None]]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(next(iter(self.per_query.values())))


def load_run(path: Path, *, qrels: Path | None = None, metrics: Sequence[str] = STANDARD_METRICS) -> SavedRun:
    """Reads a saved result (JSON of `eval retrieval`, `qa` or `faithfulness`) or a TREC run.

    Args:
        path: the file.
        qrels: judgements for a TREC run, in TREC's or BEIR's form; not needed for JSON.
        metrics: what to compute of a TREC run.

    Raises:
        NotFound: no such file.
        InvalidRequest: neither form, no values by question, or a TREC run without ``qrels``.
    """
    if not path.is_file():
        raise NotFound(f"no file {path}: give a result saved with --json, or a TREC run with --qrels", code="no-run")
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] in (b"{", b"["):
        return _load_json(path)
    if qrels is None:
        raise InvalidRequest(
            f"{path} is not a JSON result; if it is a TREC run, name its judgements with --qrels FILE", code="usage"
        )
    parsed = [parse_metric(name) for name in metrics]
    judged = read_qrels(qrels)
    return SavedRun(
        path=str(path),
        label=path.stem,
        kind="trec",
        data=str(qrels),
        data_sha256="",
        per_query=evaluate_run(read_run(path), judged, parsed),
    )


def _load_json(path: Path) -> SavedRun:
    try:
        saved = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as e:  # no UTF-8, no JSON, numbers of thousands of digits, lists without end
        raise bad_data(path, None, f"is not JSON ({e}): give a result saved with --json, or a TREC run") from e
    per_query = saved.get("per_query") if isinstance(saved, dict) else None
    if not isinstance(per_query, dict) or not per_query:
        raise bad_data(
            path, None, 'holds no "per_query": give what `openbook eval retrieval|qa|faithfulness --json` printed'
        )
    names: list[str] | None = None
    for query_id, values in per_query.items():
        if not isinstance(values, dict) or not values:
            raise bad_data(path, None, f'"per_query" of {query_id!r} is not an object of metric values')
        for name, value in values.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE
            if value is not None and not number:
                raise bad_data(
                    path, None, f'"per_query" of {query_id!r}: {name} is {value!r}, neither a number nor null'
                )
        if names is not None and list(values) != names:
            raise bad_data(path, None, f'"per_query" of {query_id!r} has other metrics than the questions before it')
        names = list(values)
    parts = [str(saved[key]) for key in ("dataset", "split", "mode") if saved.get(key)]
    return SavedRun(
        path=str(path),
        label=_label(saved) or path.stem,
        kind=str(saved.get("kind", "")),
        data=" ".join(parts),
        data_sha256=str(saved.get("dataset_sha256", "")),
        per_query=per_query,
    )


def _label(saved: Mapping[str, Any]) -> str:
    """What was measured, with the options that tell two runs of one retriever apart."""
    name = str(saved.get("retriever") or saved.get("strategy") or "")
    options = saved.get("options")
    shown = (
        [f"{key}={value}" for key, value in options.items() if value is not False] if isinstance(options, dict) else []
    )
    return " ".join([name, *shown]).strip()
