"""Questions of one's own and evaluations on them, through a real server."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from agents.prompts import Prompts
from app.client import ApiError, Client
from tests.support.examples import shown_as
from tests.support.jobs import settled
from tests.support.servers import RunningServer, kill_api, openbook_server

TOWNS = ["Alby", "Brenna", "Corvey", "Dunmor", "Estrel", "Fanwick", "Gorsla", "Hemmet"]
TRADES = ["salt", "timber", "wool", "copper", "amber", "glass", "paper", "honey"]


FACTS = [
    "In those years the engineer Ada Vance repaired the water mill of the lower valley with 12 oak wheels.",
    "A traveller called Ben Orme wrote that 31 herons nested on the island behind the chapel.",
    "The painter Cora Lind covered the ceiling of the town hall with 64 portraits of fishermen.",
    "For one summer the botanist Dov Hale collected 205 kinds of moss along the eastern cliffs.",
]


# One name in several documents: two of them are in the same half, whichever they are.
BELLS = [
    "The great bell of the chapel was cast in one night by Ines Marlow from 9 broken anchors.",
    "Nobody in the valley had seen snow when Ines Marlow opened her foundry with 17 apprentices.",
    "For the last flood a stone tells that Ines Marlow gave 58 boats to the ferrymen.",
]


def document(n: int) -> str:
    town, trade = TOWNS[n], TRADES[n]
    return f"""# {town}

## The old bridge over the river

The bridge of {town} was built by the mason Master Odo Harrow and it is {100 + 7 * n} metres long today.
Travellers who cross it in winter pay a toll of {3 + n} silver coins to the keeper of the northern gate.

## Trade and the yearly market

Merchants from {TOWNS[(n + 1) % 8]} bring {trade} to the market, where about {40 + 11 * n} stalls are put up every autumn.
The guild of {trade} traders in {town} counted {200 + 13 * n} members when its last register was written down.
{FACTS[n % 4] if n < 4 else ""}
{BELLS[n - 4] if 4 <= n < 7 else ""}
"""


@pytest.fixture(scope="module")
def towns(server: RunningServer) -> str:
    with server.client() as client:
        client.create_collection("towns")
        files = [(f"{town}.md", io.BytesIO(document(n).encode())) for n, town in enumerate(TOWNS)]
        for job in client.upload("towns", files):
            assert settled(client, job["job_id"])["state"] == "ready"
    return "towns"


@pytest.fixture(scope="module")
def questions(server: RunningServer, towns: str) -> dict[str, Any]:
    with server.client() as client:
        return client.make_questions(towns, 24, seed=3)


def ended(client: Client, eval_id: str, timeout_s: float = 90.0) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = client.eval(eval_id)
        if found["state"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"not ended: {found}")


def test_questions_are_tied_to_spans_that_hold_their_answers(client: Client, questions: dict[str, Any]) -> None:
    assert questions["n"] >= 15 and questions["n_approved"] == 0
    kinds = {q["kind"] for q in questions["questions"]}
    assert {"cloze", "heading", "unanswerable"} < kinds and kinds & {"multi-hop", "comparison"}
    for question in questions["questions"]:
        assert len(question["gold"]) == (2 if question["kind"] in ("multi-hop", "comparison") else 1)
        # Of two that are compared either may be the answer; elsewhere it stands in the last.
        golds = question["gold"] if question["kind"] == "comparison" else question["gold"][-1:]
        span = "\n".join(client.document_text(g["doc_id"])[g["start"] : g["end"]] for g in golds)
        assert question["answerable"] == (question["kind"] != "unanswerable")
        for answer in question["answers"]:
            assert answer in span and answer not in question["question"]
    splits: dict[str, set[str]] = {}
    for question in questions["questions"]:
        for gold in question["gold"]:
            splits.setdefault(gold["doc_id"], set()).add(question["split"])
    assert all(len(found) == 1 for found in splits.values())  # no document is in both halves


def test_the_same_seed_makes_the_same_questions(client: Client, towns: str, questions: dict[str, Any]) -> None:
    again = client.make_questions(towns, 24, seed=3)
    assert [q["question"] for q in again["questions"]] == [q["question"] for q in questions["questions"]]
    client.delete_question_set(again["set_id"])
    with pytest.raises(ApiError) as gone:
        client.question_set(again["set_id"])
    assert gone.value.status == 404


def test_sets_and_evaluations_come_by_pages_and_the_client_reads_them_all(
    server: RunningServer, client: Client, towns: str
) -> None:
    made = [client.make_questions(towns, 2, seed=seed)["set_id"] for seed in range(3)]
    begun = [client.start_eval(made[0], [{"retriever": "bm25"}], which="not rejected")["eval_id"] for _ in range(2)]
    for path, name, key, of in (
        ("/v1/evals/sets", "sets", "set_id", made),
        ("/v1/evals", "evals", "eval_id", begun),
    ):
        page = httpx.get(server.api_url + path, params={"limit": 1}).json()
        assert [row[key] for row in page[name]] == of[-1:] and page["next_cursor"]
        after = httpx.get(server.api_url + path, params={"limit": 1, "cursor": page["next_cursor"]}).json()
        assert [row[key] for row in after[name]] == of[-2:-1]
        assert [row[key] for row in client._every_page(path, name, limit=1)][: len(of)] == of[::-1]
        refused = httpx.get(server.api_url + path, params={"cursor": of[0]})
        assert (refused.status_code, refused.json()["code"]) == (422, "bad-cursor")
        assert httpx.get(server.api_url + path, params={"limit": 0}).status_code == 422
    assert [s["set_id"] for s in client.question_sets(towns)][:3] == made[::-1]
    assert [e["eval_id"] for e in client.evals(made[0])] == begun[::-1]
    for eval_id in begun:
        ended(client, eval_id)
    for set_id in made:
        client.delete_question_set(set_id)


def test_none_are_written_without_a_language_model(client: Client, towns: str) -> None:
    with pytest.raises(ApiError, match="there is none"):
        client.make_questions(towns, 10, written=2)


def test_only_approved_questions_are_asked_and_nothing_is_computed_twice(
    client: Client, questions: dict[str, Any]
) -> None:
    set_id = questions["set_id"]
    with pytest.raises(ApiError, match="approve some"):
        client.start_eval(set_id, [{"retriever": "bm25"}, {"retriever": "hybrid"}])
    answerable = [q["question_id"] for q in questions["questions"] if q["answerable"]]
    assert client.decide_questions(set_id, True, answerable[:8])["n_approved"] == 8
    assert client.decide_questions(set_id, False, answerable[8:9])["n_rejected"] == 1
    configurations = [{"retriever": "bm25"}, {"retriever": "hybrid"}]
    run = ended(client, client.start_eval(set_id, configurations)["eval_id"])
    assert (run["state"], run["done"], run["reused"], run["n_questions"]) == ("done", 16, 0, 8), run
    result = client.eval_result(run["eval_id"])
    assert [c["label"] for c in result["configurations"]] == ["bm25", "hybrid"]
    first = result["configurations"][0]["metrics"]["recall@10"]
    assert 0.5 < first["mean"] <= 1 and first["ci_low"] <= first["mean"] <= first["ci_high"]
    comparison = client.compare_eval(run["eval_id"], 0, 1)
    assert "B − A = " in comparison["metrics"][0]["text"]
    shown_as("GET /v1/evals/{eval_id}/compare", comparison)
    # Two more are approved: of ten questions in two configurations, sixteen answers are known.
    client.decide_questions(set_id, True, answerable[9:11])
    again = ended(client, client.start_eval(set_id, configurations)["eval_id"])
    assert (again["done"], again["reused"]) == (20, 16)


def test_chunkers_are_compared_by_spans(client: Client, questions: dict[str, Any]) -> None:
    chunkers = [{"retriever": "bm25", "chunker": "fixed"}, {"retriever": "bm25", "chunker": "parent-child"}]
    run = ended(client, client.start_eval(questions["set_id"], chunkers, which="not rejected")["eval_id"])
    assert run["state"] == "done", run
    found = client.eval_result(run["eval_id"])["configurations"]
    assert all(c["passages"] > 0 and c["metrics"]["recall@10"]["mean"] > 0.5 for c in found)


def test_a_grid_has_a_leaderboard_and_shares_what_was_measured(client: Client, questions: dict[str, Any]) -> None:
    begun = client.start_grid(
        questions["set_id"], {"retrievers": ["bm25", "dense"], "rerank": [False, True]}, which="not rejected"
    )
    run = ended(client, begun["eval_id"])
    assert run["state"] == "done" and len(run["configurations"]) == 4, run
    board = client.leaderboard(run["eval_id"])
    means = [p["mean"] for p in board["places"]]
    assert means == sorted(means, reverse=True) and len(means) == 4
    assert any(p["on_front"] for p in board["places"]) and board["pareto_svg"]["dark"].startswith("<svg")
    again = ended(
        client, client.start_eval(questions["set_id"], [{"retriever": "dense"}], which="not rejected")["eval_id"]
    )
    assert again["reused"] == again["done"] == run["n_questions"]
    everything = client.set_leaderboard(questions["set_id"], metric="mrr@10")
    assert {p["label"] for p in everything["places"]} >= {"bm25", "dense", "bm25, reranked"}
    assert "Leaderboard by ndcg@10" in client.eval_report(run["eval_id"])
    with pytest.raises(ApiError, match="unknown metric"):
        client.leaderboard(run["eval_id"], "nonsense")


def test_answers_are_judged_with_the_unanswerable_among_them(client: Client, questions: dict[str, Any]) -> None:
    few = [q["question_id"] for kind in (True, False) for q in questions["questions"] if q["answerable"] is kind]
    client.decide_questions(questions["set_id"], None, few)
    client.decide_questions(questions["set_id"], True, [few[0], few[-1]])
    run = client.start_eval(questions["set_id"], [{"strategy": "extract"}])
    done = ended(client, run["eval_id"])
    assert done["state"] == "done", done
    result = client.eval_result(run["eval_id"])
    (only,) = result["configurations"]
    assert {"em", "f1", "contains", "answered", "rouge_l", "bertscore", "context_recall"} <= set(only["metrics"])
    rows = [q["results"][0] for q in result["questions"]]
    assert all(0 <= start < end <= len(r["answer"]) for r in rows for start, end, _ in r["sentences"])
    assert only["metrics"]["perplexity"]["n"] == 0
    assert sum(only["unscored"]["perplexity"].values()) == 2  # the strategy quotes: no language model wrote them
    assert "Questions without a value" in client.eval_report(run["eval_id"])
    with pytest.raises(ApiError, match="no ballot"):
        client.vote(run["eval_id"], "nothing:0:1", "left")
    assert client.ballot(run["eval_id"])["ballot"] is None and client.votes(run["eval_id"])["n_votes"] == 0
    assert any(q["kind"] == "unanswerable" for q in result["questions"])


def test_thumbs_count_once_and_become_questions_that_a_person_reviews(client: Client, towns: str) -> None:
    chat = client.create_chat([towns], strategy="extract")["chat_id"]
    asked = "Who built the bridge of Alby?"
    with client.chat_stream(chat, asked) as stream:
        for _ in stream:
            pass
    with pytest.raises(ApiError, match="give some in the chat"):
        client.feedback_set(towns)
    question, answer = client.chat(chat)["messages"]
    client.give_feedback(chat, answer["message_id"], False, "too long")
    client.give_feedback(chat, answer["message_id"], True, "right")
    assert client.chat(chat)["messages"][1]["feedback"] == {"good": True, "reason": "right"}
    with pytest.raises(ApiError, match="thumbs are for answers"):
        client.give_feedback(chat, question["message_id"], True)
    made = client.feedback_set(towns)
    (only,) = made["questions"]
    assert (only["question"], only["kind"], only["approved"]) == (asked, "liked", None)
    assert only["gold"] and "Odo Harrow" in client.document_text(only["gold"][0]["doc_id"])
    client.take_feedback_back(chat, answer["message_id"])
    assert client.chat(chat)["messages"][1]["feedback"] is None
    client.delete_question_set(made["set_id"])


def test_models_and_prompts_are_compared_and_only_what_an_edit_touches_is_measured_anew(
    server: RunningServer, client: Client, towns: str
) -> None:
    folder = server.data_dir / "prompts" / "_short"
    folder.mkdir(parents=True)
    told = folder / "rag_user.j2"
    told.write_text(Prompts().source("rag_user.j2") + "\nIn one word.")
    try:
        assert client.eval_choices() == {"models": ["small", "large"], "prompts": ["shipped", "short"]}
        made = client.make_questions(towns, 2, seed=5, unanswerable=0, multi_hop=0)
        axes = {"strategies": ["rag"], "models": ["small", "large"], "prompts": ["shipped", "short"]}
        begun = client.start_grid(made["set_id"], axes, which="not rejected")
        assert [(c["model"], c["prompts"]) for c in begun["configurations"]] == [
            ("small", "shipped"), ("small", "short"), ("large", "shipped"), ("large", "short"),
        ]  # fmt: skip
        run = ended(client, begun["eval_id"])
        assert (run["state"], run["reused"], run["done"]) == ("done", 0, 4 * run["n_questions"]), run
        for question in client.eval_result(run["eval_id"])["questions"]:
            said = [row["answer"] for row in question["results"]]
            assert ["small" in said[0], "small" in said[1], "large" in said[2], "large" in said[3]] == [True] * 4, said
        again = ended(client, client.start_grid(made["set_id"], axes, which="not rejected")["eval_id"])
        assert again["reused"] == again["done"]
        told.write_text(told.read_text() + " Please.")
        edited = ended(client, client.start_grid(made["set_id"], axes, which="not rejected")["eval_id"])
        assert edited["reused"] == 2 * edited["n_questions"]  # with the shipped prompts, of both models
        for wrong, said_of_it in (
            ({"model": "huge"}, "unknown model 'huge': there are small, large"),
            ({"model": "/etc/hosts"}, "unknown model"),
            ({"prompts": "long"}, "no set of prompts 'long': there are shipped, short"),
            ({}, "language model"),  # the server's own, of which it has none
        ):
            with pytest.raises(ApiError, match=said_of_it):
                client.start_eval(made["set_id"], [{"strategy": "rag", **wrong}], which="not rejected")
        told.unlink()
        folder.rmdir()
        board = client.set_leaderboard(made["set_id"], kind="qa")
        assert {i["label"] for i in board["incomplete"]} == {
            f"answers by rag, model {m}, prompts short" for m in ("small", "large")
        }
        client.delete_question_set(made["set_id"])
    finally:
        shutil.rmtree(server.data_dir / "prompts")


def test_events_resume_and_end_with_the_run(server: RunningServer, client: Client, questions: dict[str, Any]) -> None:
    run = client.start_eval(questions["set_id"], [{"retriever": "tfidf"}], which="not rejected")
    with client.eval_events(run["eval_id"]) as stream:
        states = [data["state"] for _, data in stream]
    assert states[-1] == "done"
    url = f"{server.api_url}/v1/evals/{run['eval_id']}/events"
    told = httpx.get(url, trust_env=False).text
    last = told.rsplit("id: ", 1)[1].split("\n")[0]
    assert httpx.get(url, headers={"Last-Event-ID": last}, trust_env=False).text == ""


def test_a_table_is_read_by_its_mapping(client: Client, towns: str) -> None:
    rows = (
        "Query,Gold,File\nHow long is the bridge of Alby?,100 metres,Alby.md\nWho rules the moon?,,\nx,y,Nowhere.md\n"
    )
    seen = client.import_questions(towns, rows, "csv", None)
    assert seen["columns"] == ["Query", "Gold", "File"]
    assert seen["mapping"] == {"question": "Query", "answers": "Gold", "document": "File"}
    kept = client.import_questions(towns, rows, "csv", seen["mapping"], name="mine")
    assert (kept["n"], kept["n_unanswerable"], kept["origin"]["left_out"]) == (2, 1, 1)
    assert "Nowhere.md" in kept["origin"]["problems"][0]
    (gold,) = kept["questions"][0]["gold"]
    assert client.document_text(gold["doc_id"])[gold["start"] : gold["end"]] == "100 metres"
    with pytest.raises(ApiError, match="no column 'Nope'"):
        client.import_questions(towns, rows, "csv", {"question": "Nope"})


def test_what_does_not_go_together_is_refused(client: Client, questions: dict[str, Any]) -> None:
    set_id = questions["set_id"]
    for configurations, said in (
        ([{"retriever": "bm25"}, {"retriever": "bm25"}], "the same"),
        ([{"retriever": "bm25"}, {"strategy": "extract"}], "searches with searches"),
        ([{"strategy": "extract", "retriever": "bm25"}], "leave out"),
    ):
        with pytest.raises(ApiError, match=said):
            client.start_eval(set_id, configurations, which="not rejected")
    names = [str(n) for n in range(16)]
    for grid, said in (
        ({"retrievers": [None] * 5000, "chunkers": [None] * 5000, "stress": [None] * 5000}, "at most 16"),
        ({"strategies": names, "models": names, "prompts": names}, "4096 configurations: 64 are measured at once"),
        ({"strategies": names, "models": names, "prompts": names, "stress": [None, "typos"]}, "8,192 combinations"),
    ):
        began = time.monotonic()
        with pytest.raises(ApiError, match=said) as refused:
            client.start_grid(set_id, grid)
        assert refused.value.status == 422 and time.monotonic() - began < 5


@pytest.mark.slow
def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path) as running, running.client() as client:
        client.create_collection("towns")
        files = [(f"{town}.md", io.BytesIO(document(n).encode())) for n, town in enumerate(TOWNS)]
        for job in client.upload("towns", files):
            assert settled(client, job["job_id"])["state"] == "ready"
        made = client.make_questions("towns", 24)
        started = client.start_eval(
            made["set_id"],
            [{"retriever": "bm25"}, {"retriever": "hybrid"}, {"retriever": "dense"}],
            which="not rejected",
        )
        kill_api(running)
        done = ended(client, started["eval_id"])
        assert done["state"] == "done", json.dumps(done)
        assert all(c["n"] == done["n_questions"] for c in client.eval_result(started["eval_id"])["configurations"])


def test_the_report_holds_all_it_needs(client: Client, questions: dict[str, Any]) -> None:
    configurations = [{"retriever": "bm25"}, {"retriever": "tfidf"}]
    run = ended(client, client.start_eval(questions["set_id"], configurations, which="not rejected")["eval_id"])
    page = client.eval_report(run["eval_id"])
    assert "B − A = " in page and "<svg" in page and run["questions_sha256"] in page
    assert all(key in page for key in run["result_keys"])
    assert "http://" not in page and "https://" not in page and "<script" not in page
    result = client.eval_result(run["eval_id"])
    first = result["questions"][0]["results"][0]["found"][0]
    assert first["parts"]["bm25"]["rank"] == 1 and first["parts"]["bm25"]["score"] > 0
    assert {"wrong", "perplexity"} <= set(result["lower_is_better"])
    text = client.eval_report(run["eval_id"], "markdown")
    assert text.startswith("# ") and "B − A = " in text and "| bm25 |" in text and run["questions_sha256"] in text
    assert all(key in text for key in run["result_keys"])
    pictures = [base64.b64decode(p).decode() for p in re.findall(r"\(data:image/svg\+xml;base64,([^)]+)\)", text)]
    headings = re.findall(r"## Plot: (.+)", text)
    assert headings[0] == "Means, with 95 % intervals" and "Found among the first k passages" in headings
    assert len(pictures) == len(headings) and "blue: bm25; orange: tfidf" in text
    for picture in pictures:
        assert ElementTree.fromstring(picture).tag.endswith("svg") and "var(" not in picture


def test_answers_are_judged_from_their_own_passages_among_others_and_with_another_answer_put_in(
    client: Client, towns: str
) -> None:
    rows = "".join(f"How long is the bridge of {town}?,{100 + 7 * n},{town}.md\n" for n, town in enumerate(TOWNS))
    mapping = {"question": "q", "answers": "a", "document": "d"}
    unplaced = "Who knows?,nobody,\n"  # says no document, so it has no passages of its own
    table = client.import_questions(towns, f"q,a,d\n{rows}{unplaced}", "csv", mapping)
    grid = {"strategies": ["extract"], "contexts": [None, "own", "distractors", "counterfactual"]}
    run = ended(client, client.start_grid(table["set_id"], grid)["eval_id"])
    assert (run["state"], run["done"], run["total"]) == ("done", 36, 36), run
    result = client.eval_result(run["eval_id"])
    assert [c["label"] for c in result["configurations"]] == [
        "answers by extract",
        "answers by extract, from its own passages",
        "answers by extract, among other passages",
        "answers by extract, with another answer put in",
    ]
    assert [c["n"] for c in result["configurations"]] == [9, 8, 8, 8]
    own, among, other = (c["metrics"] for c in result["configurations"][1:])
    assert own["context_precision"]["mean"] == 1.0, "what is read is what answers"
    assert among["context_recall"]["mean"] == 1.0, "that is among what is read there"
    first = next(q for q in result["questions"] if q["question"] == "How long is the bridge of Alby?")
    told = [r["answer"] for r in first["results"]]
    assert "100 metres" in told[1]
    assert "100 metres" not in told[3], "the bridge has another's length there"
    assert other["contains"]["mean"] == own["contains"]["mean"], "quotes go by what they read"
    compared = client.compare_eval(run["eval_id"], 1, 3)
    assert compared["n_queries"] == 8
    again = ended(client, client.start_grid(table["set_id"], grid)["eval_id"])
    assert again["done"] == 36 and again["reused"] == 33
    with pytest.raises(ApiError, match="name the strategy that answers"):
        client.start_eval(table["set_id"], [{"retriever": "bm25", "contexts": "own"}])
    alone = client.import_questions(towns, f"q,a,d\n{unplaced}", "csv", mapping)
    failed = ended(client, client.start_eval(alone["set_id"], [{"strategy": "extract", "contexts": "own"}])["eval_id"])
    assert failed["state"] == "failed" and "none of the questions says where its answer stands" in failed["error"]


# Last: for an hour nothing that this person measures may quote the document's text, which others here have too.
def test_a_purged_document_takes_its_questions_and_all_answers_along(client: Client) -> None:
    client.create_collection("purged")
    jobs = client.upload("purged", [(f"{TOWNS[n]}.md", io.BytesIO(document(n).encode())) for n in range(3)])
    gone, *_ = [settled(client, job["job_id"])["doc_id"] for job in jobs]
    made = client.make_questions("purged", 12, unanswerable=0)
    run = ended(client, client.start_eval(made["set_id"], [{"retriever": "bm25"}], which="not rejected")["eval_id"])
    client.purge_document(str(gone))
    left = client.question_set(made["set_id"])["questions"]
    assert 0 < len(left) < made["n"]
    assert all(gold["doc_id"] != gone for question in left for gold in question["gold"])
    assert client.eval_result(run["eval_id"])["configurations"][0]["n"] == 0
