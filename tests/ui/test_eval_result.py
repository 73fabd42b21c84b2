"""The browser of questions that were measured."""

from __future__ import annotations

from app.ui.eval_result_view import judged_html


def test_each_sentence_of_an_answer_has_its_verdict_behind_it_and_no_markup_of_its_own() -> None:
    answer = "It <b>rose</b>. By half. Thanks"
    end = answer.index(".") + 1
    shown = judged_html(
        answer, [[0, end, "supported"], [end + 1, end + 9, "unsupported"], [end + 10, len(answer), "not_a_claim"]]
    )
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    first, second, third = shown.split("</span>")
    assert first.startswith("It ") and 'class="ob-supported" title="supported by what it cites"' in first
    assert second.strip().startswith("By half.") and 'class="ob-unsupported"' in second
    assert third == " Thanks"
    assert judged_html("Nothing was judged.", []) == "Nothing was judged."
