"""What the search page draws of an explanation: numbers as they came, words of documents made inert."""

from __future__ import annotations

from typing import Any, cast

from app import replies
from app.ui.search_page import _text
from app.ui.waterfall import _miss_html, _sum_html, _terms_html, _tokens_html, way_html

BAD = "<img src=x onerror=alert(1)>"


def hit(**extra: Any) -> replies.Hit:
    base = {"title": BAD, "collection": "c", "page": None, "start": 10, "end": 20, "text": "0123456789", "rank": 1,
            "score": 0.5, "parts": {"dense": {"rank": 2, "score": 0.5}, "bm25": {"rank": 1, "score": 4.0},
                                    "fused": {"rank": 1, "score": 0.5}}}  # fmt: skip
    return cast(replies.Hit, base | extra)


def test_the_way_goes_through_the_stages_in_their_order() -> None:
    other = hit(parts={"bm25": {"rank": 2, "score": 2.0}})
    drawn = way_html(other, [hit(), other])
    assert "rank 2" in drawn and "width:50%" in drawn  # 2.0 of 4.0
    drawn = way_html(hit(), [hit()])
    assert drawn.index("Words (BM25)") < drawn.index("Meaning (dense)") < drawn.index("Fused")
    drawn = way_html(hit(parts={"rerank": {"rank": 1, "score": -3.0}, "fused": {"rank": 4, "score": 0.1}}), [hit()])
    assert drawn.index("Fused") < drawn.index("Reranked")
    assert "&lt;stage" in way_html(hit(parts={"<stage": {"rank": 1, "score": 1.0}}), [])
    assert way_html(hit(parts={}), []) == ""


def test_every_word_is_inert() -> None:
    explanation = cast(
        replies.Explanation,
        {"fused": [{"stage": BAD, "rank": 1, "score": None, "low": 0.0, "high": 1.0, "normalised": 0.0, "weight": 0.5,
                    "contribution": 0.0}],
         "fused_score": 0.5,
         "terms": [{"term": BAD, "idf": 1.0, "tf": 2.0, "contribution": 3.0}], "terms_score": 3.0,
         "tokens": [{"token": BAD, "match": BAD, "start": 0, "end": 1, "cosine": -0.2}]},
    )  # fmt: skip
    miss = cast(replies.NearMiss, hit(text=BAD, reason={"code": BAD, "message": BAD, "gap": None, "by_rank": None, "fields": []}))  # fmt: skip
    reply = cast(replies.SearchReply, {"hits": [hit()]})
    drawn = [
        _sum_html(explanation),
        _terms_html(explanation),
        _tokens_html(explanation),
        _miss_html(miss, [miss], reply),
    ]
    for html in drawn:
        assert html and "<img" not in html and "&lt;img" in html
    assert "not found" in drawn[0]


def test_nothing_is_drawn_of_what_was_not_explained() -> None:
    nothing = cast(
        replies.Explanation, {"fused": [], "fused_score": None, "terms": [], "terms_score": None, "tokens": []}
    )
    assert (_sum_html(nothing), _terms_html(nothing), _tokens_html(nothing)) == ("", "", "")


def test_the_best_sentence_is_bold_within_what_was_found() -> None:
    assert _text(hit(highlight={"start": 13, "end": 15})) == "012<strong>34</strong>56789"
    marked = hit(matched={"chunk_id": "c", "start": 12, "end": 18}, highlight={"start": 12, "end": 15})
    assert _text(marked) == "01<mark><strong>234</strong>567</mark>89"
    marked = hit(matched={"chunk_id": "c", "start": 10, "end": 20}, highlight={"start": 15, "end": 20})
    assert _text(marked) == "<mark>01234<strong>56789</strong></mark>"
    assert _text(hit(text="a<b>c45678", highlight={"start": 11, "end": 14})) == "a<strong>&lt;b&gt;</strong>c45678"
