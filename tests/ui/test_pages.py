"""The pages, drawn by Streamlit's own test runner against real HTTP. What only a browser sees is in tests/e2e."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from app import replies
from ingest.chunk.choose import ChunkerName
from tests.support.stand_in_state import State

MAIN = Path(__file__).resolve().parents[2] / "app" / "ui" / "main.py"
TIMEOUT_S = 30


def page(function: Callable[[], None]) -> AppTest:
    """One page by itself: the test runner cannot follow pages that are functions."""
    script = f"import streamlit as st\nfrom {function.__module__} import {function.__name__} as page\npage()\n"
    return AppTest.from_string(script, default_timeout=TIMEOUT_S)


def shown(at: AppTest) -> str:
    assert not at.exception
    return "\n".join(str(element.value) for element in at.get("html"))


def test_the_first_page_says_what_to_do(api: httpx.Client) -> None:
    at = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S).run()
    assert "Bring your documents" in shown(at)
    assert {b.label for b in at.button} == {"New conversation", "Add documents", "Keyboard shortcuts"}


def test_a_server_that_loads_is_waited_for(api: httpx.Client, state: State) -> None:
    state.ready = False
    at = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S).run()
    assert "Just a moment" in shown(at) and "encoder" in shown(at)
    state.ready = True
    assert "Bring your documents" in shown(at.run())


def test_no_server_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBOOK_API_URL", "http://127.0.0.1:9")
    at = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S).run()
    assert "Waiting for the server" in shown(at)
    from app.ui.search_page import search_page

    at = page(search_page).run()
    assert "no server at http://127.0.0.1:9: start it with `openbook serve`" in shown(at)
    assert [b.label for b in at.button] == ["Try again"]


def test_a_defect_is_one_clear_message_and_no_traceback(
    filled: httpx.Client, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    from app.ui.search_page import search_page

    state.broken = True
    at = page(search_page).run()
    at.text_input(key="search-query").set_value("net sales")
    at.button[0].click().run()
    assert "Something went wrong here" in shown(at) and "KeyError" not in shown(at)
    assert "KeyError" in caplog.text  # it is in the log


def test_a_collection_is_made_and_a_bad_name_refused(api: httpx.Client) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page).run()
    assert "Your first collection" in shown(at)
    at.text_input(key="new-collection").set_value("Bad Name")
    at.button[0].click().run()
    assert "is not a collection name" in shown(at)
    at.text_input(key="new-collection").set_value("reports")
    at.button[0].click().run()
    assert at.title[0].value == "reports"
    assert api.get("/v1/collections").json()["collections"][0]["name"] == "reports"


def test_files_are_sent_and_a_failed_one_says_why(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    at.file_uploader[0].set_value([("q4.pdf", b"%PDF", "application/pdf"), ("bad.pdf", b"%PDF", "application/pdf")])
    at.run()
    time.sleep(0.05)
    at.run()
    assert "2 ready · 1 not ready" in shown(at)
    assert "the file is encrypted" in shown(at)
    failed = next(j for j in state.jobs.values() if j["file"] == "bad.pdf")
    failed["file"] = "good.pdf"
    at.button(key=f"retry-{failed['job_id']}").click().run()
    time.sleep(0.05)
    assert "3 ready" in shown(at.run())


def test_a_failed_file_that_came_in_well_later_is_told_of_no_more_and_a_deleted_one_not_counted(
    filled: httpx.Client, state: State
) -> None:
    from app.ui.collections_page import collections_page

    for name in ("bad.pdf", "other bad.pdf", "q4.pdf"):
        filled.post("/v1/collections/reports/documents", files=[("files", (name, b"%PDF"))])
    time.sleep(0.05)
    at = page(collections_page)
    at.query_params["collection"] = "reports"
    assert "2 ready · 2 not ready" in shown(at.run())
    mended = {
        **next(j for j in state.jobs.values() if j["file"] == "q4.pdf"),
        "job_id": "j9",
        "created_at": "2999-01-01",
    }
    state.jobs["j9"] = mended | {"file": "bad.pdf", "doc_id": "d-bad.pdf"}
    said = shown(at.run())
    assert "3 ready · 1 not ready" in said and '>bad.pdf</span><span class="ob-state ob-state-failed' not in said
    deleted = next(j for j in state.jobs.values() if j["file"] == "q3.pdf")
    deleted |= {"gone": True, "doc_id": None}
    assert "2 ready · 1 not ready" in shown(at.run()) and "q3.pdf" not in shown(at)


def test_files_are_cut_as_was_chosen(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import CHUNKERS, collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    assert set(CHUNKERS) - {""} == set(get_args(ChunkerName)), "the page offers what there is"
    at.file_uploader[0].set_value([("a.pdf", b"%PDF", "application/pdf")]).run()
    at.selectbox(key="chunker").select("parent-child").run()
    at.file_uploader[0].set_value([("b.pdf", b"%PDF", "application/pdf")]).run()
    assert state.chunkers[-2:] == [None, "parent-child"]


def test_a_file_is_looked_at_before_it_is_added(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    at.selectbox(key="preview-chunker").set_value("parent-child").run()
    at.get("file_uploader")[1].set_value(("notes.md", b"# Notes", "text/markdown")).run()
    said = shown(at)
    assert "A &lt;i&gt;title" in said and "<i>" not in said
    assert "14, of 7 to 7 tokens" in said and "Passages 1 to 10 of 14" in said
    assert "German" in said and "A. Keeper" in said and "page 2 is an image" in said
    assert "2 e-mail addresses and 1 IBAN found" in said
    assert state.chunkers[-1] == "parent-child" and len(state.jobs) == 1, "nothing was added"
    at.button(key="preview-page-on").click().run()
    assert "Passages 11 to 14 of 14" in shown(at)
    at.button(key="preview-add").click().run()
    assert [j["file"] for j in state.jobs.values()] == ["q3.pdf", "notes.md"]


def test_a_file_that_cannot_be_read_says_so_before_it_is_added(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run().get("file_uploader")[1].set_value(("bad.pdf", b"%PDF", "application/pdf")).run()
    assert "This file cannot be read" in shown(at) and "give its password" in shown(at)


def test_the_passages_of_a_document_are_turned_over(filled: httpx.Client) -> None:
    def details() -> None:
        from app.ui.document_details import _draw

        _draw("d-q3.pdf")

    at = AppTest.from_function(details, default_timeout=TIMEOUT_S).run()
    said = shown(at)
    assert "Passages 1 to 10 of 40" in said and "7 tokens · page 1 · characters 0–30" in said
    assert "Results &lt;b&gt;" in said and "Read together: 21 tokens" in said
    assert said.count("ob-shared") == 9, "all but the first share their beginning with the one before"
    at.button(key="chunks-d-q3.pdf-on").click().run()
    assert "Passages 11 to 20 of 40" in shown(at) and shown(at).count("ob-shared") == 10


def test_what_is_done_about_personal_data_is_chosen_and_says_what_it_does_not_reach(
    filled: httpx.Client, state: State
) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run().selectbox(key="pii-reports-off").set_value("redact").run()
    assert state.pii == {"reports": "redact"}
    assert "1 document here came in under another setting" in shown(at)
    assert at.selectbox(key="pii-reports-redact").value == "redact"


def test_what_is_kept_word_by_word_is_switched_with_its_cost_said(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    said = shown(at)
    assert "On disk about 13 kB a passage: less than 1 MB here" in said and "Memory and disk about 7 kB" in said
    assert "10 passages without them yet: they are read in the background" in said
    at.toggle(key="tokens-reports-True").set_value(False).run()
    assert state.word_by_word == {"reports": {"tokens": False}}
    assert at.toggle(key="tokens-reports-False").value is False and "without them yet" not in shown(at)
    at.toggle(key="late-reports-False").set_value(True).run()
    assert state.word_by_word == {"reports": {"tokens": False, "late": True}}


def test_variety_is_chosen_with_a_search(filled: httpx.Client, state: State) -> None:
    from app.ui.search_page import search_page

    at = page(search_page).run()
    at.text_input(key="search-query").set_value("revenue")
    at.button[0].click().run()
    at.selectbox(key="search-variety").set_value(0.5)
    at.button[0].click().run()
    assert not at.exception
    assert [body.get("mmr_lambda") for body in state.searched] == [None, 0.5]


def remaking(form: str) -> AppTest:
    """A dialog of the collection's menu by itself, with the job list below it."""
    return AppTest.from_string(
        "from app.ui import remaking\n"
        "from app.ui.collections_page import CHUNKERS\n"
        "from app.ui.jobs_view import draw_jobs\n"
        "from app.ui.state import client\n"
        f"remaking.{form}(client().collections()[0], CHUNKERS)\n"
        "draw_jobs('reports')\n",
        default_timeout=TIMEOUT_S,
    )


def test_passages_are_made_anew_in_another_way_and_gone_back_to(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    state.job_s = 60
    at = remaking("_make_form").run()
    assert at.selectbox(key="anew-chunker").options[0] == "of even length"
    assert "Every document is made so already" in shown(at) and at.button(key="anew-yes").disabled
    at.selectbox(key="anew-chunker").set_value("sentence").run()
    at.number_input(key="anew-tokens").set_value(300).run()
    said = shown(at)
    assert (
        "The 1 document would be read and encoded again, since the way of cutting and the length would be other" in said
    )
    assert "about 5 min" in said and "can be changed without making it anew" in said
    at.button(key="anew-yes").click().run()
    assert state.pipelines["reports"][0] == {"chunker": "sentence", "chunk_tokens": 300}
    said = shown(at.run())
    assert "All passages anew: sentence 300" in said and "making anew" in said and "90 s left" in said
    assert "They are now of whole sentences, at most 300 tokens." in said
    job = next(j for j in state.jobs.values() if j.get("kind") == "reindex")
    at.button(key=f"cancel-{job['job_id']}").click().run()
    assert job["state"] == "cancelled"
    assert not [b for b in at.button if str(b.key) == f"retry-{job['job_id']}"], "it is begun again from the menu"
    at = remaking("_back_form").run()
    assert "of whole sentences, at most 300 tokens" in shown(at) and "of even length, at most 200 tokens" in shown(at)
    at.button(key="back-yes").click().run()
    assert state.pipelines["reports"][0]["chunker"] == "fixed"
    at = page(collections_page)
    at.query_params["collection"] = "reports"
    assert "All passages anew: sentence 300" in shown(at.run())


def test_what_was_found_is_marked_in_what_is_read() -> None:
    from app.ui.search_page import _text

    hit = {
        "text": "one <b> two three",
        "start": 100,
        "end": 117,
        "matched": {"chunk_id": "c", "start": 104, "end": 107},
    }
    assert _text(cast(replies.Hit, hit)) == "one <mark>&lt;b&gt;</mark> two three"


def test_of_a_long_upload_the_first_file_that_failed_is_shown_and_all_are_counted(
    filled: httpx.Client, state: State
) -> None:
    (first,) = state.jobs.values()
    for n in range(1199):
        waits = {
            "job_id": f"w{n}",
            "file": f"{n}.pdf",
            "state": "queued",
            "progress": 0.0,
            "paused": True,
            "doc_id": None,
        }
        state.jobs[f"w{n}"] = first | (waits if n >= 500 else {"job_id": f"r{n}", "file": f"{n}.pdf"})
    first |= {"state": "failed", "reason": "the file is encrypted", "doc_id": None}
    at = AppTest.from_string("from app.ui.jobs_view import draw_jobs\ndraw_jobs('reports')", default_timeout=TIMEOUT_S)
    said = shown(at.run())
    assert "699 under way · 500 ready · 1 not ready" in said
    assert "42% of all files" in said  # (500 + 1) / 1200
    assert "the file is encrypted" in said and at.button(key=f"retry-{first['job_id']}")
    assert "and 687 more files" in said  # 699 - 12
    assert "500 files ready" in [e.label for e in at.expander]


def test_a_running_job_can_be_cancelled(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    state.job_s = 60
    job = filled.post("/v1/collections/reports/documents", files=[("files", ("slow.pdf", b"%PDF"))]).json()["jobs"][0]
    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    assert 'role="progressbar"' in shown(at)
    at.button(key=f"cancel-{job['job_id']}").click().run()
    assert state.jobs[job["job_id"]]["state"] == "cancelled"


def test_a_page_is_fetched_and_its_job_can_be_paused_and_resumed(filled: httpx.Client, state: State) -> None:
    from app.ui.collections_page import collections_page

    state.job_s = 60
    at = page(collections_page)
    at.query_params["collection"] = "reports"
    at.run()
    at.text_input(key="fetch-url").set_value("https://example.org/a")
    next(b for b in at.button if b.label == "Fetch").click().run()
    job = next(j for j in state.jobs.values() if j.get("url") == "https://example.org/a")
    at.button(key=f"pause-{job['job_id']}").click().run()
    assert job["paused"]
    assert "paused" in shown(at.run())
    at.button(key=f"pause-{job['job_id']}").click().run()
    assert not job["paused"]


def test_a_question_is_answered_with_verdicts_and_sources(filled: httpx.Client, state: State) -> None:
    from app.ui.chat_page import chat_page

    at = page(chat_page).run()
    assert "What would you like to know?" in shown(at)
    at.chat_input[0].set_value("How did net sales develop?").run()
    text = shown(at)
    assert 'data-ob-cite="' in text
    assert "1 sentence supported" in text and "1 sentence partly supported" in text
    assert [b.label for b in at.button if str(b.key).startswith("source-")] == [
        "**1** · q3\\.pdf, page 4",
        "**2** · q3\\.pdf, page 4",
    ]
    at.run()  # now from the server's record
    assert "1 sentence partly supported" in shown(at)
    assert [b.label for b in at.button if str(b.key).startswith("chat-")] == ["**How did net sales develop?**"]


def test_not_knowing_is_said_calmly_with_what_came_nearest(filled: httpx.Client) -> None:
    from app.ui.chat_page import chat_page

    at = page(chat_page).run()
    at.chat_input[0].set_value("Something unknown").run()
    assert "I don&#x27;t know" in shown(at)
    assert "The passages that came nearest" in shown(at)


def test_an_answer_that_breaks_can_be_asked_again(filled: httpx.Client) -> None:
    from app.ui.chat_page import chat_page

    at = page(chat_page).run()
    at.chat_input[0].set_value("break").run()
    assert "the language model does not answer" in shown(at)
    assert at.button(key="ask-again").label == "Ask again"


def test_a_title_is_shown_inert_and_opens_its_conversation(filled: httpx.Client, state: State) -> None:
    from app.ui.chat_page import chat_page

    chat_id = filled.post("/v1/chats", json={"collections": ["reports"], "title": "Old *title*"}).json()["chat_id"]
    at = page(chat_page).run()
    assert at.button(key=f"chat-{chat_id}").label == "Old \\*title\\*"
    at.button(key=f"chat-{chat_id}").click().run()
    assert at.query_params["chat"] == chat_id


def test_a_conversation_that_is_gone_is_said_to_be(filled: httpx.Client) -> None:
    from app.ui.chat_page import chat_page

    at = page(chat_page)
    at.query_params["chat"] = "h-nothing"
    at.run()
    assert "That conversation is no longer there." in shown(at)


def test_hits_show_what_each_stage_said(filled: httpx.Client) -> None:
    from app.ui.search_page import search_page

    at = page(search_page).run()
    at.text_input(key="search-query").set_value("net sales")
    at.button[0].click().run()
    assert "Meaning (dense)" in shown(at) and "rank 1" in shown(at) and "0.713" in shown(at)


def test_a_misspelt_query_can_be_searched_again_as_it_may_have_been_meant(filled: httpx.Client) -> None:
    from app.ui.search_page import search_page

    at = page(search_page).run()
    at.text_input(key="search-query").set_value("net saels")
    at.button[0].click().run()
    assert at.button(key="did-you-mean").label == "Search for net sales"
    assert at.text_input(key="search-query").value == "net saels"  # shown, not applied
    at.button(key="did-you-mean").click().run()
    assert at.text_input(key="search-query").value == "net sales"
    assert not [b for b in at.button if b.key == "did-you-mean"]


def test_the_system_page_tells_what_runs(api: httpx.Client) -> None:
    from app.ui.system_page import system_page

    said = shown(page(system_page).run())
    assert "<dt>Language model</dt><dd>SmolLM2</dd>" in said and "<dt>Passages</dt><dd>480</dd>" in said
    assert "wrong claims taken for supported</dt><dd>25%" in said


def test_the_parts_of_a_server_are_said_in_words() -> None:
    from app.ui.system_page import _flat

    parts = [
        {"name": "encoder", "state": "ready", "detail": ""},
        {"name": "indexes", "state": "loading", "detail": "2"},
    ]
    assert dict(_flat({"loading": parts})) == {"Parts": "encoder ready, indexes loading 2"}


def test_the_system_page_tells_what_the_machine_has_to_who_runs_it_alone(api: httpx.Client, state: State) -> None:
    from app.ui.system_page import system_page

    said = shown(page(system_page).run())
    assert "apt install &lt;b&gt;tesseract&lt;/b&gt;" in said and 'aria-label="missing"' in said
    assert "3 ready" in said and "0 failed" not in said and "2, because too many waited" in said
    assert "5.0 GB of 10.0 GB" in said and said.index("10.0 MB") < said.index("2.0 MB"), "the largest part first"
    state.runs_the_server = False
    said = shown(page(system_page).run())
    assert "shown to administrators" in said and "Doctor" not in said and "MiniLM" in said
