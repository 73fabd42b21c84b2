"""What one might ask next: of the passages that were found with an answer, the headings that it does not quote from."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st

from app import replies
from app.ui.inert import inert_markdown

SHOWN = 3
HEADING_CHARACTERS = (3, 80)  # shorter ones name nothing, longer ones are sentences


def follow_ups(answer: replies.Answer, asked: Collection[str]) -> list[str]:
    """At most three questions, the best hit's first, none of which was asked already."""
    cited = {(c["doc_id"], c["start"]) for c in answer["citations"]}
    quoted = {heading_of(h) for h in answer["hits"] if any(_holds(h, place) for place in cited)}
    found: list[str] = []
    for hit in answer["hits"]:
        heading = heading_of(hit)
        if heading in quoted or not HEADING_CHARACTERS[0] <= len(heading) <= HEADING_CHARACTERS[1]:
            continue
        question = f"What does {hit['title']} say about {heading}?"
        if question not in asked and question not in found and heading.casefold() != hit["title"].casefold():
            found.append(question)
    return found[:SHOWN]


def heading_of(hit: replies.Hit) -> str:
    path = hit.get("heading_path") or [""]
    return " ".join(path[-1].split()).strip("#*_ .:")


def draw_follow_ups(questions: list[str], ask: Callable[[str], None], scope: str) -> None:
    """Args:
    scope: names the answer, so that two of them on one page are told apart.
    """
    if not questions:
        return
    with st.container(key=f"follow-ups-{scope}", gap=None):
        for n, question in enumerate(questions):
            st.button(
                inert_markdown(question),
                key=f"follow-up-{scope}-{n}",
                type="tertiary",
                icon=":material/subdirectory_arrow_right:",
                on_click=ask,
                args=(question,),
            )


def _holds(hit: replies.Hit, place: tuple[str, int]) -> bool:
    return hit["doc_id"] == place[0] and hit["start"] <= place[1] < hit["end"]
