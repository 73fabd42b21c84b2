"""Collections: make one, fill it, watch the files become ready, take them out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, cast

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.calibration_view import draw_calibration
from app.ui.documents_view import draw_documents
from app.ui.inert import inert_html, inert_markdown
from app.ui.jobs_view import draw_jobs
from app.ui.keeping import forget
from app.ui.members_view import draw_members
from app.ui.preview import draw_preview
from app.ui.remaking import go_back, make_anew
from app.ui.search_choices import draw_search_choices
from app.ui.state import client, limits, notice, take_notice
from core.errors import OpenbookError
from core.wording import plural

NAME_RULE = "1 to 63 of a–z, 0–9, “-” and “_”, beginning with a letter or a digit."
BATCH_FILES = 50  # files sent in one request, so that one bad batch does not undo a whole folder


# What each chunker is for, in the words of somebody who adds files.
CHUNKERS: Mapping[str, str] = {
    "": "as the server is set",
    "fixed": "of even length",
    "sentence": "of whole sentences",
    "semantic": "by subject (takes three times as long)",
    "parent-child": "small to find, larger to read",
}

PII: Mapping[str, str] = {
    "off": "left as they are",
    "flag": "counted and shown",
    "redact": "taken out before anything is stored",
}


@guarded
def collections_page() -> None:
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    collections = client().collections()
    name = _current()
    found = next((c for c in collections if c["name"] == name), None)
    if found is not None:
        _one(found)
        return
    if name is not None:
        _choose(None)
    _all(collections)


def _current() -> str | None:
    if "collection" in st.query_params:
        st.session_state["collection"] = st.query_params["collection"]
    elif st.session_state.get("collection"):
        st.query_params["collection"] = st.session_state["collection"]
    return cast("str | None", st.session_state.get("collection"))


def _choose(name: str | None) -> None:
    st.session_state["collection"] = name
    forget("documents-shown", "documents-words")
    if name:
        st.query_params["collection"] = name
    else:
        st.query_params.pop("collection", None)


# ---------------------------------------------------------------- all of them


def _all(collections: Sequence[replies.Collection]) -> None:
    if not collections:
        look.empty_state(
            "Your first collection",
            "A collection is a set of documents that you ask together: a project, a client, a year of reports.",
        )
    else:
        st.title("Collections", anchor=False)
    with (
        st.form("create", border=False, clear_on_submit=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name of a new collection", key="new-collection", placeholder="annual-reports", max_chars=63)
        st.form_submit_button("Create", type="primary", on_click=_create)
    look.muted(NAME_RULE)
    if not collections:
        return
    with st.grid(columns="auto", min_column_width=220):
        for collection in collections:
            _card(collection)


def _create() -> None:
    name = (st.session_state.get("new-collection") or "").strip()
    if not name:
        notice("Give the collection a name first.")
        return
    try:
        client().create_collection(name)
    except OpenbookError as e:
        notice(explain(e))
        return
    st.session_state["new-collection"] = ""
    _choose(name)


def _card(collection: replies.Collection) -> None:
    name = collection["name"]
    with st.container(border=True, key=f"card-{name}", gap="xsmall"):
        st.html(
            f'<div class="ob-hit-title">{inert_html(name)}</div><div class="ob-muted">'
            f"{plural(collection['documents'], 'document')} · {plural(collection['chunks'], 'passage')}</div>"
        )
        st.button(
            "Open", key=f"open-{name}", type="tertiary", icon=":material/arrow_forward:", on_click=_choose, args=(name,)
        )


# ---------------------------------------------------------------- one of them


def _one(collection: replies.Collection) -> None:
    name = collection["name"]
    st.button(
        "All collections", icon=":material/arrow_back:", type="tertiary", key="back", on_click=_choose, args=(None,)
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(inert_markdown(name), anchor=False, width="content")
        role = collection.get("role", "owner")
        anew = ["Make anew"] if collection["documents"] and role != "reader" else []
        back = ["Go back"] if collection.get("previous") and role != "reader" else []
        gone = ["Delete the collection"] if role == "owner" else []
        choices = [*anew, *back, *gone]
        chosen = None
        if choices:
            chosen = st.menu_button(
                "", choices, key="collection-menu", type="tertiary", icon=":material/more_horiz:",
                help="Make its passages anew, go back, or delete it",
            )  # fmt: skip
    match chosen:
        case "Make anew":
            make_anew(collection, CHUNKERS)
        case "Go back":
            go_back(collection, CHUNKERS)
        case "Delete the collection":
            _delete(collection)
    look.muted(f"{plural(collection['documents'], 'document')} · {plural(collection['chunks'], 'passage')}")
    if role == "reader":
        look.muted("You read and ask here; its owner and editors add documents.")
    else:
        chunkers = _chunkers(collection)
        _uploader(collection, chunkers)
        _fetcher(name)
        draw_preview(collection, chunkers)
    draw_jobs(name)
    draw_search_choices(collection)
    draw_calibration(name)
    draw_members(name, role)
    draw_documents(name, may_change=role != "reader")


def _chunkers(collection: replies.Collection) -> Mapping[str, str]:
    """The choices for what is added here: unless another is made, it is cut as what is there."""
    return {**CHUNKERS, "": "like the others here"} if collection.get("pipeline") else CHUNKERS


def _personal_data(collection: replies.Collection) -> None:
    """What is done about it in the files that are added; the key has the setting, so that another page's change shows."""
    name, now = collection["name"], collection.get("pii", "off")
    key = f"pii-{name}-{now}"
    st.selectbox(
        "Personal data",
        list(PII),
        index=list(PII).index(now),
        format_func=lambda mode: PII[mode],
        key=key,
        on_change=_change_pii,
        args=(name, key),
        help="E-mail addresses, phone numbers and IBANs in files that you add from now on. What is taken out is in no "
        "text, index or log; the uploaded file itself stays on the server, to be read again, and is not shown to anybody. People's names are found "
        "only where the server is set to a model for them (pii_names_model).",
    )


def _change_pii(name: str, key: str) -> None:
    try:
        changed = client().change_collection(name, pii=st.session_state[key])
    except OpenbookError as e:
        notice(explain(e))
        return
    if changed["unlike"]:
        st.session_state["pii-said"] = (
            f"{plural(changed['unlike'], 'document')} here came in under another setting and stay as they are: "
            "add their files again."
        )


def _uploader(collection: replies.Collection, chunkers: Mapping[str, str]) -> None:
    name, bounds = collection["name"], limits()
    with st.container(horizontal=True, vertical_alignment="top"):
        chunker = st.selectbox(
            "Passages",
            list(chunkers),
            format_func=lambda kind: chunkers[kind],
            key="chunker",
            help="How the text of the files that you add is cut into the passages that are searched.",
        )
        _personal_data(collection)
    if said := st.session_state.pop("pii-said", None):
        look.note(said)
    folder = st.toggle("A whole folder", key="upload-folder", help="With all that is in it, and in folders below it.")
    what = "a folder" if folder else "files"
    # Another key empties the widget after its files have been sent.
    turn = st.session_state.setdefault("upload-turn", 0)
    files = st.file_uploader(
        f"Drop {what} here: PDF, Word, Excel, PowerPoint, e-mail, EPUB, OpenDocument, HTML, Markdown, CSV, text, scans, or a zip of these …",
        accept_multiple_files="directory" if folder else True,
        key=f"upload-{name}-{turn}{'-folder' if folder else ''}",
        max_upload_size=max(1, bounds.max_upload_bytes // 2**20),
    )
    look.muted(
        f"Up to {bounds.max_batch_files:,} files at once, {bounds.max_upload_bytes // 2**20:,} MB each. "
        "One bad file does not stop the others."
    )
    # What operating systems leave in folders is nobody's document.
    files = [
        file for file in files or () if not any(part.startswith(".") for part in file.name.split("/")[int(folder) :])
    ]
    if not files:
        return
    st.session_state["upload-turn"] = turn + 1
    if len(files) > bounds.max_batch_files:
        notice(f"{len(files):,} files are more than one batch takes: send at most {bounds.max_batch_files:,} at once.")
        st.rerun()
    sources = [(file.name, cast("IO[bytes]", file)) for file in files]
    with st.spinner(f"Sending {plural(len(sources), 'file')} …"):
        try:
            for first in range(0, len(sources), BATCH_FILES):
                client().upload(name, sources[first : first + BATCH_FILES], chunker=chunker or None)
        except OpenbookError as e:
            notice(explain(e))
    st.rerun()


def _fetcher(name: str) -> None:
    with (
        st.form(f"fetch-{name}", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Or the address of a page, a file or a sitemap", key="fetch-url", placeholder="https://…")
        st.form_submit_button("Fetch", on_click=_fetch, args=(name,))


def _fetch(name: str) -> None:
    urls = (st.session_state.get("fetch-url") or "").split()
    if not urls:
        return
    try:
        client().ingest_urls(name, urls, chunker=st.session_state.get("chunker") or None)
    except OpenbookError as e:
        notice(explain(e))


@st.dialog("Delete the collection?")
def _delete(collection: replies.Collection) -> None:
    _delete_form(collection)


@guarded
def _delete_form(collection: replies.Collection) -> None:
    st.html(
        f'<div class="ob-hit-title">{inert_html(collection["name"])}</div><div class="ob-muted">'
        f"{plural(collection['documents'], 'document')} will be deleted with it. What past conversations quoted "
        "from them stays in them.</div>"
    )
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="delete-collection-yes"):
            try:
                with st.spinner("Deleting …"):
                    client().delete_collection(collection["name"])
            except ApiError as e:
                if e.status != 404:
                    raise
            _choose(None)
            st.rerun()
        if st.button("Keep it", key="delete-collection-no"):
            st.rerun()
