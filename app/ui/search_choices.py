"""How a collection is searched: what is kept of its passages word by word, and what that costs. Changed at once, made in the background."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import explain
from app.ui.state import client, notice
from core.errors import OpenbookError
from core.wording import plural

# Of a passage of 200 word pieces: 64 bytes each in the store (decision 0110), and a third of 98 in the index (docs/results/late.md).
STORED_BYTES = 200 * 64
INDEX_BYTES = 200 * 98 // 3


def draw_search_choices(collection: replies.Collection) -> None:
    """Two switches, each with its cost in words and for this very collection."""
    with st.expander("How it is searched", icon=":material/manage_search:"):
        _switch(
            collection,
            "tokens",
            "Put the best passages in a better order",
            f"Keeps token vectors, by which what was found is reranked. On disk about 13 kB a passage: {_here(collection, STORED_BYTES)}. "
            "They are made with the passages, in the same reading, and a search takes some 10 to 40 ms longer. "
            "Without them a search reads the passages themselves as far as there is time, and says where there was none.",
        )
        if collection.get("tokens"):
            _progress(collection)
        _switch(
            collection,
            "late",
            "Search word by word",
            f"Offers “Word by word” beside “Words” and “Meaning”: finds by the token vectors alone. Memory and disk about 7 kB a passage: "
            f"{_here(collection, INDEX_BYTES)}. The index is made in the background; a search takes about 100 ms. "
            "The usual search, “Both”, did no worse where both were measured, so this is for trying out and for comparing.",
        )
        look.muted("Variety and what is nearly the same are chosen with each search, under “Narrow and spread”.")


def _here(collection: replies.Collection, bytes_each: int) -> str:
    size = collection["chunks"] * bytes_each
    return f"{size / 1e6:,.0f} MB here" if size >= 1e6 else "less than 1 MB here"


def _progress(collection: replies.Collection) -> None:
    lacking = collection["chunks"] - collection.get("with_tokens", 0)
    if lacking > 0:
        look.muted(f"{plural(lacking, 'passage')} without them yet: they are read in the background.")


def _switch(collection: replies.Collection, field: str, label: str, cost: str) -> None:
    now = bool(collection.get(field))
    # The key has the setting, so that another page's change shows.
    key = f"{field}-{collection['name']}-{now}"
    st.toggle(label, value=now, key=key, on_change=_change, args=(collection["name"], field, key))
    look.muted(cost)


def _change(name: str, field: str, key: str) -> None:
    wanted = bool(st.session_state[key])
    try:
        if field == "tokens":
            client().change_collection(name, tokens=wanted)
        else:
            client().change_collection(name, late=wanted)
    except OpenbookError as e:
        notice(explain(e))
