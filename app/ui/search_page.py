"""Search without an answer: the hits as they were ranked, why they stand where they stand, and what was nearly found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import streamlit as st

from app import replies
from app.ui import look, waterfall
from app.ui.boundary import guarded
from app.ui.inert import inert_html, inert_markdown
from app.ui.keeping import begin_with
from app.ui.passage import from_hit, show_passage, which_file
from app.ui.search_beside import WAYS, How, moved_html, summary
from app.ui.search_filters import choose_filters
from app.ui.state import client

RETRIEVERS: Mapping[str, str] = {"hybrid": "Both", "bm25": "Words", "dense": "Meaning", "late": "Word by word"}
K = (5, 10, 20, 50)
MAX_IN_ADDRESS = 4000  # bytes of what is searched for; servers that stand in between refuse an address of 8,000
VARIETY: Mapping[float, str] = {1.0: "the best first", 0.7: "a little", 0.5: "much"}  # λ of maximal marginal relevance


@guarded
def search_page() -> None:
    st.title("Search", anchor=False)
    collections = [c for c in client().collections() if c["documents"]]
    names = [c["name"] for c in collections]
    if not names:
        look.empty_state("Nothing to search yet", "Add documents to a collection first; their passages are found here.")
        return
    late = any(c.get("late") for c in collections)
    with st.form("search", border=False):
        said = st.query_params
        query = st.text_input(
            "Search for", key=begin_with("search-query", said.get("q", "")), placeholder="a phrase, a name, a number …"
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            there = [name for name in said.get_all("in") if name in names]
            chosen = st.multiselect(
                "In", names, key=begin_with("search-collections", there, names), placeholder="All collections"
            )
            offered = [by for by in RETRIEVERS if by != "late" or late]
            wanted = said.get("by", "hybrid")
            by = st.segmented_control(
                "By",
                offered,
                required=True,
                format_func=lambda name: RETRIEVERS[name],
                key=begin_with("search-by", wanted if wanted in offered else "hybrid", offered),
            )
            others = [None, *(way for way in WAYS if way != "late" or late)]
            beside = st.selectbox(
                "Beside",
                others,
                format_func=lambda way: WAYS[way][0] if way else "nothing",
                key=begin_with("search-beside", None, others),
                help="Searches in another way, too, and shows both lists side by side.",
            )
            st.form_submit_button("Search", type="primary", icon=":material/search:")
        with st.expander("Narrow and spread", icon=":material/tune:"):
            filters = choose_filters(list(chosen) or names)
            k, most, once, variety = _how_many()
    _say_in_the_address((query or "").strip(), list(chosen), by or "hybrid")
    if not (query or "").strip():
        look.muted("The passages come back as they were ranked, with the rank and score that each stage gave them.")
        return
    ways: list[How] = [{"retriever": by or "hybrid"}, *([WAYS[beside][1]] if beside else [])]
    found = []
    with st.spinner("Searching …"):
        for way in ways:
            reply = client().search_whole(
                query.strip(),
                list(chosen) or names,
                **way,
                k=k,
                explain=True,
                collapse_duplicates=once or None,
                max_per_document=most,
                mmr_lambda=variety if variety < 1 else None,
                filters=filters or None,
            )
            found.append(reply)
    if meant := found[0].get("did_you_mean"):
        # As plain text: a query may hold signs that the label would take for Markdown.
        label = f"Search for {inert_markdown(meant['query'])}"
        st.button(label, key="did-you-mean", on_click=_search_for, args=(meant["query"],), icon=":material/spellcheck:")
    if beside:
        _side_by_side((RETRIEVERS[by or "hybrid"], WAYS[beside][0]), found)
    else:
        _list(found[0])


def _say_in_the_address(query: str, collections: Sequence[str], by: str) -> None:
    """So that a reload, or a link, searches for the same; not with a text so long that the address could not be asked for again."""
    for name in ("q", "in", "by"):
        st.query_params.pop(name, None)
    if query and len(quote(query)) <= MAX_IN_ADDRESS:
        st.query_params["q"], st.query_params["by"] = query, by
        st.query_params["in"] = list(collections)


def _list(reply: replies.SearchReply, side: str = "", other: Sequence[replies.Hit] | None = None) -> None:
    """``side`` tells the elements of two lists apart; ``other``: what the list beside it has found."""
    for note in reply.get("notes", []):
        st.caption(inert_markdown(note))
    if not reply["hits"]:
        look.card("Nothing found", "No passage of these collections matches. Try other words, or search by meaning.")
    for hit, file in zip(reply["hits"], which_file(reply["hits"]), strict=True):
        _hit(hit, file, reply["hits"], side, other)
    waterfall.near_misses(reply)


def _side_by_side(names: tuple[str, str], found: Sequence[replies.SearchReply]) -> None:
    """One under the other on a phone."""
    lists = [reply["hits"] for reply in found]
    look.note(summary(*lists))
    for side, column in enumerate(st.columns(2)):
        with column, st.container(key=f"side-{side}"):
            st.subheader(f"{'AB'[side]} · {names[side]}", anchor=False)
            _list(found[side], f"-{side}", lists[1 - side])


def _how_many() -> tuple[int, int | None, bool, float]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k = st.selectbox("Passages", K, key=begin_with("search-k", K[1], K))
        most = st.selectbox(
            "Of one document",
            (None, 1, 2, 3, 5),
            format_func=lambda n: "any number" if n is None else f"{n} at most",
            key=begin_with("search-most", None),
        )
        variety = st.selectbox(
            "Variety",
            list(VARIETY),
            format_func=lambda amount: VARIETY[amount],
            key=begin_with("search-variety", 1.0),
            help="Passages much like a better one move down, so that others come up. Much variety brings in passages that "
            "answer less well. Costs a few milliseconds.",
        )
    once = st.checkbox(
        "Say the same only once",
        key=begin_with("search-collapse", False),
        help="Leaves out passages that a better one has said, of a document that is nearly the same.",
    )
    return k, most, once, variety


def _search_for(query: str) -> None:
    st.session_state["search-query"] = query


def _hit(
    hit: replies.Hit, file: str, hits: Sequence[replies.Hit], side: str, other: Sequence[replies.Hit] | None
) -> None:
    told = "" if other is None else moved_html(hit, other)
    where = " · ".join(
        part
        for part in (
            file,
            hit["collection"],
            f"page {hit['page']}" if hit["page"] else "",
            *hit.get("heading_path", [])[-1:],
        )
        if part
    )
    with st.container(border=True, key=f"card-hit{side}-{hit['rank']}", gap="small"):
        st.html(
            f'<div class="ob-hit-title">{hit["rank"]}. {inert_html(hit["title"])}</div>'
            f'<div class="ob-muted">{inert_html(where)} {_alike(hit)} {told}</div>'
            f'<div class="ob-hit-text">{_text(hit)}</div>{waterfall.way_html(hit, hits)}'
        )
        waterfall.why(hit)
        if st.button(
            "Open in the document", key=f"hit{side}-{hit['rank']}", type="tertiary", icon=":material/menu_book:"
        ):
            show_passage(from_hit(hit))


def _alike(hit: replies.Hit) -> str:
    n = hit.get("stands_for", 1)
    return f'<span class="ob-badge">stands for {n:,} documents that are nearly the same</span>' if n > 1 else ""


def _text(hit: replies.Hit) -> str:
    """What is to be read: marked in it what was found, where that is less, and in bold the sentence that answers best."""
    text = hit["text"]
    opens: dict[int, str] = {}
    closes: dict[int, str] = {}
    # The sentence lies within what was found, so the outer mark is opened first and closed last.
    for found, tag in ((hit.get("matched"), "mark"), (hit.get("highlight"), "strong")):
        if found is not None:
            start, end = found["start"] - hit["start"], found["end"] - hit["start"]
            opens[start] = opens.get(start, "") + f"<{tag}>"
            closes[end] = f"</{tag}>" + closes.get(end, "")
    cuts = sorted({0, len(text), *opens, *closes})
    pieces = [
        f"{closes.get(a, '')}{opens.get(a, '')}{inert_html(text[a:b])}"
        for a, b in zip(cuts, [*cuts[1:], None], strict=True)
    ]
    return "".join(pieces)
