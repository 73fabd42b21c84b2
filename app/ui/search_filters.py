"""What a person can narrow a search by: only what the documents at hand have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import streamlit as st

from app.ui.keeping import begin_with
from app.ui.state import client

_LABELS = {"type": "Type", "language": "Language", "tag": "Tag"}


def choose_filters(collections: Sequence[str]) -> dict[str, list[str]]:
    """Controls for types, languages, tags and dates, where there is more than one to choose from; what was chosen."""
    facets = client().facets(collections)
    values: dict[str, dict[str, int]] = {
        "type": facets["type"],
        "language": facets["language"],
        "tag": facets["tag"],
    }
    offered = {field: counts for field, counts in values.items() if len(counts) > 1}
    days = facets["date"]
    if not offered and days is None:
        return {}
    chosen: dict[str, list[str]] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for field, counts in offered.items():
            picked = st.multiselect(
                _LABELS[field],
                list(counts),
                format_func=lambda value, counts=counts: f"{value} ({counts[value]:,})",  # type: ignore[misc]
                key=begin_with(f"search-{field}", [], counts),
                placeholder="Any",
            )
            if picked:
                chosen[field] = list(picked)
        if days is not None:
            chosen |= _days(days)
    return chosen


def _days(days: dict[str, str]) -> dict[str, list[str]]:
    first, last = date.fromisoformat(days["from"]), date.fromisoformat(days["to"])
    if first == last:
        return {}
    found: dict[str, list[str]] = {}
    for end, label in (("from", "From"), ("to", "To")):
        day = st.date_input(
            label, value=None, min_value=first, max_value=last, key=f"search-{end}", format="YYYY-MM-DD"
        )
        if isinstance(day, date):
            found[f"date.{end}"] = [day.isoformat()]
    return found
