"""All documents of a collection made anew with another way of cutting, and the way back. The job is shown among the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client, limits
from app.waiting import about
from core.wording import plural

STEP = 20


def described(pipeline: Mapping[str, Any], chunkers: Mapping[str, str]) -> str:
    """How documents are made, for people: "of whole sentences, at most 300 tokens"."""
    cut = str(pipeline.get("chunker") or "")
    parts = [
        chunkers.get(cut) or cut,
        f"at most {pipeline['chunk_tokens']:,} tokens" if pipeline.get("chunk_tokens") else "",
    ]
    if pipeline.get("encoder_model") not in (None, "packaged"):
        parts.append(str(pipeline["encoder_model"]))
    return ", ".join(part for part in parts if part)


def estimated(found: replies.ReindexEstimate, chunkers: Mapping[str, str]) -> str:
    """What making a collection anew would come to, in a sentence or two."""
    if not found["again"]:
        return "Every document is made so already: there is nothing to be done."
    how_many = plural(found["documents"], "document")
    everything = "All" if found["documents"] > 1 else "The"
    which = f"{everything} {how_many}" if found["again"] == found["documents"] else f"{found['again']:,} of {how_many}"
    words = {"chunker": "the way of cutting", "chunk_tokens": "the length"}
    why = " and ".join(words.get(key, key.replace("_", " ")) for key in found["changes"])
    because = f", since {why} would be other" if why else ", since they were made in another way"
    seconds = found["seconds"]
    took = (
        "How long that takes is not known yet."
        if seconds is None
        else f"That takes about {about(seconds)}, going by how long they took to come in."
    )
    return f"{which} would be read and encoded again{because}. {took}"


@st.dialog("Make the passages anew?")
def make_anew(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    _make_form(collection, chunkers)


@guarded
def _make_form(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    name, now = collection["name"], collection.get("pipeline") or {}
    if now:
        look.muted(f"They are now {described(now, chunkers)}.")
    kinds = [kind for kind in chunkers if kind]
    chunker = st.selectbox(
        "Passages",
        kinds,
        index=kinds.index(now["chunker"]) if now.get("chunker") in kinds else 0,
        format_func=lambda kind: chunkers[kind],
        key="anew-chunker",
    )
    tokens = st.number_input(
        "Tokens at most",
        min_value=16,
        max_value=8192,
        value=now.get("chunk_tokens") or limits().chunk_tokens or None,
        step=STEP,
        placeholder="as set",
        key="anew-tokens",
    )
    found = client().reindex_estimate(name, chunker=chunker, chunk_tokens=tokens)
    look.note(estimated(found, chunkers))
    look.muted(
        "What is there is searched until all are made; then all of them are switched to at once. You can go back afterwards. "
        "Personal data, tags, members, and how the collection is searched and fused can be changed without making it anew."
    )
    with st.container(horizontal=True):
        if st.button("Make anew", type="primary", key="anew-yes", disabled=not found["again"]):
            with st.spinner("Beginning …"):
                client().reindex(name, chunker=chunker, chunk_tokens=tokens)
            st.rerun()
        if st.button("Leave it", key="anew-no"):
            st.rerun()


@st.dialog("Go back?")
def go_back(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    _back_form(collection, chunkers)


@guarded
def _back_form(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    rows = [
        ("Now", described(collection.get("pipeline") or {}, chunkers)),
        ("Before", described(collection.get("previous") or {}, chunkers)),
    ]
    facts = "".join(f"<dt>{word}</dt><dd>{inert_html(text)}</dd>" for word, text in rows if text)
    st.html(f'<dl class="ob-facts">{facts}</dl>')
    look.muted(
        "The passages of before are searched again, at once. Documents that were added or changed since stay as they are, "
        "and deleted ones do not come back. Going back twice undoes it."
    )
    with st.container(horizontal=True):
        if st.button("Go back", type="primary", key="back-yes"):
            with st.spinner("Going back …"):
                client().rollback(collection["name"])
            st.rerun()
        if st.button("Stay", key="back-no"):
            st.rerun()
