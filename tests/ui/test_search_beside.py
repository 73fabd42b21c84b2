"""What two lists of hits have in common, in words."""

from __future__ import annotations

from typing import cast

from app import replies
from app.ui.search_beside import moved, moved_html, summary


def hits(*ids: str) -> list[replies.Hit]:
    return [cast(replies.Hit, {"chunk_id": chunk_id, "rank": n}) for n, chunk_id in enumerate(ids, 1)]


def test_each_passage_says_where_the_other_list_has_it() -> None:
    a, b = hits("x", "y", "z"), hits("z", "y", "w")
    assert [moved(hit, b) for hit in a] == ["only here", "the same place", "number 1 there, 2 lower here"]
    assert moved(b[0], a) == "number 3 there, 2 higher here"
    assert "only here" in moved_html(a[0], b)


def test_both_lists_are_summed_up() -> None:
    said = summary(hits("x", "y", "z"), hits("z", "y", "w", "v"))
    assert said == (
        "2 passages found both ways, 1 in the same place; 1 by A alone, 2 by B alone. The first passage is another one."
    )
    assert summary(hits("x"), hits("x")).endswith("The first passage is the same.")
    assert summary([], []) == "Neither finds anything."
    assert "0 passages found both ways, 0 in the same place; 1 by A alone, 0 by B alone" in summary(hits("x"), [])
