"""What is running: what the machine has, what waits, how full the disk is, models and versions, as the server tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client

# State of a finding → sign, the class of its colour, and what is read out.
_SIGNS: Mapping[str, tuple[str, str, str]] = {
    "ok": ("✓", "ob-supported", "in order"),
    "note": ("•", "ob-muted", "good to know"),
    "missing": ("✕", "ob-unsupported", "missing"),
}


# What the server calls its parts, where that says too little to a person.
_CALLED: Mapping[str, str] = {
    "lm": "Language model",
    "runs": "Answers being given",
    "loading": "Parts",
    "n": "of how many claims",
    "wrongly_supported": "wrong claims taken for supported",
    "wrongly_doubted": "right claims doubted",
    "balanced_accuracy": "balanced accuracy",
    "errors": "On",
    "change": "Changes so far",
    "rows": "Passages",
    "sparse_kind": "Search by words",
    "dense_kind": "Search by meaning",
    "dense_delta": "Vectors beside the index",
    "stale_rows": "Passages found by their words alone",
    "encoder_revision": "Vectors made by",
    "rebuilding": "Being made anew",
    "problems": "Problems",
    "late_rows": "Passages searched word by word",
    "late_lacking": "Still to come, word by word",
    "token_rows": "Passages with token vectors",
    "token_lacking": "Still to come, token vectors",
    "chunk_tokens": "Word pieces of a passage",
    "max_upload_bytes": "Bytes of a file",
    "max_batch_files": "Files at once",
    "max_question_characters": "Characters of a question",
    "max_queued_jobs": "Files that wait",
}


@guarded
def system_page() -> None:
    st.title("System", anchor=False)
    machine = _machine()
    if machine is not None:
        _doctor(machine["doctor"])
        _queues(machine["queues"])
        _disk(machine["disk"])
    found = client().system()
    loose = {key: value for key, value in found.items() if not isinstance(value, dict)}
    for heading, values in [("Openbook", loose), *((k, v) for k, v in found.items() if isinstance(v, dict))]:
        _facts(_words(heading), dict(_flat(values)))
    look.muted(f"The API answers at {client().base_url}; its own page is at {client().base_url}/docs")


def _machine() -> replies.Machine | None:
    """None for whoever does not run this server."""
    try:
        with st.spinner("Looking at the machine …"):
            return client().machine()
    except ApiError as e:
        if e.status != 403:
            raise
        look.muted("What the machine has, what waits and how full the disk is, is shown to administrators.")
        return None


def _doctor(findings: list[replies.Finding]) -> None:
    rows = ""
    for finding in findings:
        sign, colour, said = _SIGNS[finding["state"]]
        mark = f'<span class="{colour}" role="img" aria-label="{said}">{sign}</span>'
        rows += f"<dt>{mark} {inert_html(finding['topic'])}</dt><dd>{inert_html(finding['text'])}</dd>"
    _card("Doctor", rows)


def _queues(queues: replies.Queues) -> None:
    jobs = ", ".join(f"{n:,} {state}" for state, n in queues["jobs"].items() if n) or "none"
    lm = (
        "no language model"
        if queues["lm_running"] is None
        else _at_work(queues["lm_running"], queues["lm_waiting"] or 0)
    )
    rows = {
        "Files": jobs,
        "Answers being given": f"{queues['answers']:,}",
        "Searches": f"{queues['searches']:,} at work or waiting",
        "Checks of claims": f"{queues['checks']:,} at work or waiting",
        "Refused since the start": f"{queues['refused']:,}, because too many waited",
        "Language model": lm,
    }
    _facts("Queues", rows)


def _at_work(running: int, waiting: int) -> str:
    return f"{running:,} at work, {waiting:,} waiting"


def _disk(disk: replies.Disk) -> None:
    sizes = sorted(disk["parts"].items(), key=lambda part: -part[1])
    rows = {
        "Data directory": disk["data_dir"],
        "Free": f"{look.size_text(disk['free'])} of {look.size_text(disk['total'])}",
        **{_words(name): look.size_text(size) for name, size in sizes if size},
    }
    _facts("Disk", rows)


def _facts(heading: str, rows: Mapping[str, str]) -> None:
    _card(heading, "".join(f"<dt>{inert_html(name)}</dt><dd>{inert_html(text)}</dd>" for name, text in rows.items()))


def _card(heading: str, rows: str) -> None:
    """``rows`` is HTML of ours."""
    if rows:
        st.html(f'<div class="ob-card"><h4>{inert_html(heading)}</h4><dl class="ob-facts">{rows}</dl></div>')


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path} {_words(str(key))}".strip())
    elif isinstance(value, list):
        yield path, ", ".join(map(_item, value)) or "none"
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif isinstance(value, float):  # the verifier's rates
        yield path, f"{value:.0%}"
    elif value is not None:
        yield path, f"{value:,}" if isinstance(value, int) else str(value)


def _item(item: Any) -> str:
    """A part of the server, as /ready lists them, in words."""
    if isinstance(item, dict):
        return " ".join(str(value) for value in item.values() if value)
    return str(item)


def _words(key: str) -> str:
    return _CALLED.get(key) or key.replace("_", " ").capitalize() if key.islower() else key
