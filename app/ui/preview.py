"""Look before you add: what a file would become, with this way of cutting or another, before anything is stored."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import IO, Any, cast

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import explain
from app.ui.chunks_view import PER_PAGE, draw_chunks, draw_facts, page_chooser
from app.ui.state import client, limits, notice
from core.errors import OpenbookError
from core.wording import plural

SHOWN = 1000  # passages asked for
PAGE_KEY = "preview-page"
STEP = 20


def draw_preview(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    """A file chooser of its own: what is dropped here is looked at, not added."""
    name = collection["name"]
    with st.expander("Look at a file before adding it", icon=":material/preview:"):
        turn = st.session_state.setdefault("preview-turn", 0)
        file = st.file_uploader(
            "A file to look at",
            key=f"preview-{name}-{turn}",
            max_upload_size=max(1, limits().max_upload_bytes // 2**20),
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chunker = st.selectbox(
                "Passages", list(chunkers), format_func=lambda key: chunkers[key], key="preview-chunker"
            )
            tokens = st.number_input(
                "Tokens at most",
                min_value=16,
                max_value=8192,
                value=None,
                step=STEP,
                placeholder="as set",
                key="preview-tokens",
                help="To try another size. Files are added with the size that the collection is set to.",
            )
        if file is None:
            return
        made = collection.get("pipeline") or {}
        how = {
            "chunker": chunker or made.get("chunker"),
            "tokens": tokens or made.get("chunk_tokens"),
            "overlap": made.get("chunk_overlap_tokens"),
            "pii": collection.get("pii", "off"),
        }
        found = _found(name, file.name, file.getvalue(), how)
        if found is not None:
            _draw(collection, found, file.name, cast("IO[bytes]", file), chunker or None)


def _found(collection: str, name: str, data: bytes, how: dict[str, Any]) -> replies.Preview | None:
    """Asked once for each file and choice; every click on the page draws it anew."""
    asked = (collection, name, hashlib.sha256(data).hexdigest(), how)
    kept = st.session_state.get("preview-kept")
    if isinstance(kept, tuple) and kept[0] == asked:
        return cast(replies.Preview, kept[1])
    with st.spinner("Reading …"):
        try:
            found = client().preview((name, io.BytesIO(data)), **how, limit=SHOWN)
        except OpenbookError as e:
            look.card("This file cannot be read", explain(e), kind="error")
            return None
    st.session_state["preview-kept"] = (asked, found)
    st.session_state[PAGE_KEY] = 0
    return found


def _draw(
    collection: replies.Collection, found: replies.Preview, name: str, file: IO[bytes], chunker: str | None
) -> None:
    tokens = found["tokens"]
    rows = [
        ("Title", found["title"]),
        ("Passages", f"{found['total']:,}, of {tokens['min']:,} to {tokens['max']:,} tokens ({tokens['median']:,} in the middle)"),
        ("Read together", plural(found["total_parents"], "larger passage") if found["total_parents"] else ""),
        ("Pages", f"{found['pages']:,}" if found["pages"] else ""),
    ]  # fmt: skip
    draw_facts(found, rows)
    for text in found["warnings"]:
        look.note(text)
    at = page_chooser(len(found["chunks"]), PAGE_KEY) * PER_PAGE
    before = found["chunks"][at - 1] if at else None
    draw_chunks(found["chunks"][at : at + PER_PAGE], found["parents"], first=at + 1, before=before)
    if found["total"] > len(found["chunks"]):
        look.muted(f"The first {len(found['chunks']):,} of {found['total']:,} passages are shown.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add this file",
            type="primary",
            key="preview-add",
            on_click=_add,
            args=(collection["name"], name, file, chunker),
        )
        st.button("Put it away", key="preview-away", on_click=_put_away)
        tried = st.session_state.get("preview-tokens")
        if tried and tried != ((collection.get("pipeline") or {}).get("chunk_tokens") or limits().chunk_tokens):
            look.muted("It will be cut to the size that the collection is set to.")


def _add(collection: str, name: str, file: IO[bytes], chunker: str | None) -> None:
    try:
        file.seek(0)
        client().upload(collection, [(name, file)], chunker=chunker)
    except OpenbookError as e:
        notice(explain(e))
        return
    _put_away()


def _put_away() -> None:
    st.session_state["preview-turn"] += 1
    st.session_state.pop("preview-kept", None)
