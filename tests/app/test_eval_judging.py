"""A language model judges between two configurations of an evaluation, through a real server."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.client import ApiError, Client
from app.eval_runs import EvalRuns, Judging
from app.eval_sets import EvalSets
from core.database import DATABASE_FILE, migrate, open_database
from core.errors import NotFound
from core.types import Principal
from tests.app.test_evals import ended
from tests.support.examples import shown_as
from tests.support.jobs import settled
from tests.support.servers import RunningServer, kill_api, openbook_server
from tests.support.team import team

N_COINS, N_ALL = 5, 14
MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"
WAYS = [{"strategy": "rag", "model": "small"}, {"strategy": "rag", "model": "large"}]


def asked(client: Client, name: str, rows: list[str]) -> tuple[str, str]:
    """A set of questions, and the one document of its collection."""
    client.create_collection(name)
    text = b"# Tolls\n\nThe keeper of the northern gate takes 3 coins from each who crosses the bridge in winter.\n"
    (job,) = client.upload(name, [("tolls.md", io.BytesIO(text))])
    doc_id = str(settled(client, job["job_id"])["doc_id"])
    made = client.import_questions(name, "\n".join(["q,a", *rows]), "csv", {"question": "q", "answers": "a"})
    return made["set_id"], doc_id


def evaluated(client: Client, name: str, rows: list[str]) -> tuple[str, str]:
    """An evaluation of two ways to answer, which never answer alike, and the one document of its collection."""
    set_id, doc_id = asked(client, name, rows)
    run = ended(client, client.start_eval(set_id, WAYS)["eval_id"])
    assert (run["state"], run["n_questions"]) == ("done", len(rows)), run
    return str(run["eval_id"]), doc_id


@pytest.fixture(scope="module")
def measured(server: RunningServer) -> str:
    """Of which the large model as judge calls the questions of coins ties."""
    with server.client() as client:
        coins = [f"How many coins does traveller {n} pay to the keeper of the gate?,3" for n in range(N_COINS)]
        others = [
            f"Who takes the coins of traveller {n} at the northern gate?,the keeper" for n in range(N_ALL - N_COINS)
        ]
        return evaluated(client, "tolls", [*coins, *others])[0]


def votes(client: Client, eval_id: str, wrong: int) -> None:
    """Prefers the large one's answers, but of coins neither, and ``wrong`` times the small one's."""
    while (ballot := client.ballot(eval_id))["ballot"] is not None:
        side = "left" if "large" in ballot["left"] else "right"
        if ballot["question"].startswith("How many coins"):
            side = "tie"
        elif wrong:
            side, wrong = {"left": "right", "right": "left"}[side], wrong - 1
        client.vote(eval_id, ballot["ballot"], side)


def test_a_judge_is_asked_once_and_held_against_the_votes_of_people(client: Client, measured: str) -> None:
    assert client.judging(measured, 0, 1) == {
        "kind": "judging", "eval_id": measured, "a": 0, "b": 1, "n_pairs": N_ALL, "n_votes": 0, "run": None, "result": None,
    }  # fmt: skip
    begun = client.judge_eval(measured, 0, 1, model="large")
    with client.eval_events(begun["eval_id"]) as stream:
        states = [data for _, data in stream]
    assert (states[-1]["state"], states[-1]["done"], states[-1]["reused"]) == ("done", N_ALL, 0), states[-1]
    first = client.judging(measured, 0, 1)["result"]
    # Nine times the large one's, which is B, and five ties: (9 + 5/2) / 14.
    assert first["b_preferred"] == pytest.approx(11.5 / 14)
    assert first["b_interval"][0] < 11.5 / 14 < first["b_interval"][1] < 1
    assert (first["n"], first["n_left"], first["n_unread"], first["position_bias"]) == (N_ALL, 0, 0, 0.0)
    assert (
        first["n_alike"] == N_ALL
        and first["people"]["kappa"] is None
        and "no pair has a vote" in first["people"]["text"]
    )
    votes(client, measured, wrong=1)
    found = client.judging(measured, 0, 1)
    shown_as("GET /v1/evals/{eval_id}/judge", found)
    # Of 14 pairs 13 agree. By chance 9/14 · 8/14 both say the large one, 5/14 · 5/14 both a tie: 97/196.
    assert found["result"]["people"]["kappa"] == pytest.approx((13 / 14 - 97 / 196) / (1 - 97 / 196))
    assert (found["n_votes"], found["result"]["people"]["n"]) == (N_ALL, N_ALL)
    # The same the other way round, and again: nothing is asked, and each verdict is what it was.
    turned = ended(client, client.judge_eval(measured, 1, 0, model="large")["eval_id"])
    assert (turned["done"], turned["reused"]) == (N_ALL, N_ALL)
    mirrored = client.judging(measured, 1, 0)["result"]
    assert mirrored["b_preferred"] == pytest.approx(1 - 11.5 / 14)
    assert mirrored["people"]["kappa"] == pytest.approx(found["result"]["people"]["kappa"])
    assert client.judging(measured, 0, 1)["result"] == found["result"]


def test_a_judging_is_cancelled_resumed_and_goes_with_its_evaluation(client: Client, measured: str) -> None:
    begun = client.judge_eval(measured, 0, 1, model="small")
    assert client.judge_eval(measured, 0, 1, model="small")["eval_id"] == begun["eval_id"], "pressing twice is once"
    with client.eval_events(begun["eval_id"]) as stream:
        for _, data in stream:
            if data["done"]:
                break
    assert client.cancel_eval(begun["eval_id"])["state"] == "cancelled"
    part = client.judging(measured, 0, 1, model="small")
    assert part["run"]["state"] == "cancelled" and 0 < part["result"]["n"] < N_ALL == part["n_pairs"], part["run"]
    assert part["result"]["n_left"] == N_ALL - part["result"]["n"]
    client.resume_eval(begun["eval_id"])
    done = ended(client, begun["eval_id"])
    assert (done["state"], done["done"]) == ("done", N_ALL) and done["reused"] >= part["result"]["n"], done
    whole = client.judging(measured, 0, 1, model="small")["result"]
    assert (whole["b_preferred"], whole["position_bias"]) == (0.5, 1.0), "it prefers what stands first"
    # It is listed nowhere as an evaluation, measures nothing of its own, and is deleted with the other.
    assert begun["eval_id"] not in [run["eval_id"] for run in client.evals()]
    for read in (client.eval_result, client.leaderboard, client.votes, client.ballot, client.eval_report):
        with pytest.raises(ApiError, match="judges answers of"):
            read(begun["eval_id"])


def test_only_the_first_so_many_are_judged_where_that_is_asked_for(client: Client, measured: str) -> None:
    set_id = client.eval(measured)["set_id"]
    again = ended(client, client.start_eval(set_id, WAYS)["eval_id"])["eval_id"]
    run = ended(client, client.judge_eval(again, 0, 1, model="large", n=3)["eval_id"])
    assert run["total"] == 3
    client.delete_eval(again)
    with pytest.raises(ApiError) as gone:
        client.eval(run["eval_id"])
    assert gone.value.status == 404


def test_what_cannot_be_judged_is_said_with_the_way_out(client: Client, measured: str) -> None:
    wrong: list[tuple[dict[str, Any], int, str]] = [
        (
            {},
            503,
            r"there is none: choose one in the settings \(lm_runtime\), or name one of lm_choices as `model`: small, large",
        ),
        ({"model": "huge"}, 422, "unknown model 'huge'"),
        ({"b": 5}, 422, "name two of the 2 configurations"),
        ({"b": 0}, 422, "name two of the 2 configurations"),
        ({"n": 0}, 422, "n"),
    ]
    with pytest.raises(ApiError, match="huge"):
        client.judging(measured, 0, 1, model="huge")
    for options, status, said in wrong:
        a, b = 0, options.pop("b", 1)
        with pytest.raises(ApiError, match=said) as refused:
            client.judge_eval(measured, a, b, **options)
        assert refused.value.status == status
    set_id = client.eval(measured)["set_id"]
    searched = ended(client, client.start_eval(set_id, [{"strategy": "extract"}])["eval_id"])
    with pytest.raises(ApiError, match="name two of the 1 configuration"):
        client.judge_eval(searched["eval_id"], 0, 1, model="large")


def test_one_that_is_cancelled_does_not_wait_for_the_end_of_a_reply(client: Client) -> None:
    eval_id, _ = evaluated(client, "judge-asleep", ["Who sleeps at the northern gate?,the keeper"])
    begun = client.judge_eval(eval_id, 0, 1, model="small")
    with client.eval_events(begun["eval_id"]) as stream:
        for _, data in stream:
            if data["stage"].startswith("asking"):
                break
    client.cancel_eval(begun["eval_id"])
    # The next in the queue has its turn long before the two minutes that the reply takes.
    assert ended(client, client.judge_eval(eval_id, 0, 1, model="large")["eval_id"], 20.0)["state"] == "done"


def test_an_evaluation_that_is_cancelled_does_not_wait_for_the_end_of_an_answer(client: Client) -> None:
    set_id, _ = asked(client, "answer-asleep", ["Who dozes at the northern gate?,the keeper"])
    begun = client.start_eval(set_id, WAYS[:1])
    with client.eval_events(begun["eval_id"]) as stream:
        for _, data in stream:
            if data["stage"].startswith("answers by rag"):
                break
    client.cancel_eval(begun["eval_id"])
    assert ended(client, client.start_eval(set_id, WAYS[1:])["eval_id"], 20.0)["state"] == "done"


def test_a_purge_ends_a_judging_and_nothing_that_is_said_afterwards_is_kept(
    client: Client, server: RunningServer
) -> None:
    rows = [f"How many coins does walker {n} pay at the gate?,3" for n in range(8)]
    eval_id, doc_id = evaluated(client, "judged-and-purged", rows)
    begun = client.judge_eval(eval_id, 0, 1, model="small")
    with client.eval_events(begun["eval_id"]) as stream:
        for _, data in stream:
            if data["done"]:
                break
    client.purge_document(doc_id)
    broken = ended(client, begun["eval_id"], 20.0)
    assert broken["state"] == "failed" and "is no longer there" in broken["error"], broken
    (key,) = broken["result_keys"]
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir / DATABASE_FILE}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT count(*) FROM eval_results WHERE key = ?", (key,)).fetchone() == (0,)


def test_of_an_evaluation_that_is_deleted_meanwhile_nothing_is_left_to_judge(tmp_path: Path) -> None:
    database, me = open_database(tmp_path), Principal(user_id="local")
    migrate(database, MIGRATIONS)
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO collections (collection_id, name, owner_id, created_at) VALUES (7, 'c', 'local', 'now')"
        )
        connection.exec_driver_sql("INSERT INTO eval_sets VALUES ('s', 'local', 7, 'n', '{}', 'now')")
    runs = EvalRuns(database)
    read = runs.start(me, EvalSets(database).get(me, "s"), [], [])
    runs.delete(me, read.eval_id)
    with pytest.raises(NotFound):
        runs.start_judging(me, read, Judging(of=read.eval_id, a=0, b=1, model=None), ["q"])
    assert runs.take() is None
    database.close()


@pytest.mark.slow
def test_a_killed_server_goes_on_with_its_own_model_and_a_purge_takes_the_verdicts_along(
    tmp_path: Path, model_cache: Path
) -> None:
    replies = [
        {"when": "You compare two answers", "text": '{"better": "1"}', "delay_s": 0.3, "times": 0},
        {"text": "The keeper takes 3 coins [1].", "times": 0},
    ]
    (tmp_path / "script.json").write_text(json.dumps({"replies": replies}))
    env = {
        "OPENBOOK_LM_RUNTIME": "scripted",
        "OPENBOOK_LM_SCRIPT": str(tmp_path / "script.json"),
        "OPENBOOK_EXTRACT_THRESHOLD": "0.2",
    }
    with openbook_server(tmp_path / "data", env=env) as running, running.client() as client:
        client.create_collection("tolls")
        text = b"# Tolls\n\nThe keeper of the northern gate takes 3 coins from each who crosses the bridge in winter.\n"
        (job,) = client.upload("tolls", [("tolls.md", io.BytesIO(text))])
        doc_id = str(settled(client, job["job_id"])["doc_id"])
        table = "\n".join(["q,a", *(f"How many coins does the keeper take from traveller {n}?,3" for n in range(12))])
        made = client.import_questions("tolls", table, "csv", {"question": "q", "answers": "a"})
        eval_id = client.start_eval(made["set_id"], [{"strategy": "extract"}, {"strategy": "rag"}])["eval_id"]
        assert ended(client, eval_id)["state"] == "done"
        begun = client.judge_eval(eval_id, 0, 1)
        with client.eval_events(begun["eval_id"]) as stream:
            for _, data in stream:
                if data["done"]:
                    break
        kill_api(running)
        done = ended(client, begun["eval_id"])
        assert (done["state"], done["done"]) == ("done", 12) and done["reused"] > 0, done
        found = client.judging(eval_id, 0, 1)
        assert found["run"]["judging"]["judge"] == found["result"]["judge"] == "scripted:script.json"
        assert (found["result"]["n"], found["result"]["position_bias"]) == (12, 1.0)
        client.purge_document(doc_id)
        with pytest.raises(ApiError, match="have not been measured yet") as gone:
            client.judging(eval_id, 0, 1)
        assert gone.value.status == 409


@pytest.mark.slow
def test_nothing_more_is_asked_for_somebody_who_may_no_longer_read_it(tmp_path: Path, model_cache: Path) -> None:
    choices = {}
    for name in ("small", "large"):
        replies = [
            {"when": "You compare two answers", "text": '{"better": "1"}', "delay_s": 120, "times": 0},
            {"text": f"So says the {name} one [1].", "times": 0},
        ]
        (tmp_path / name).write_text(json.dumps({"replies": replies}))
        choices[name] = {"runtime": "scripted", "script": str(tmp_path / name)}
    env = {"OPENBOOK_LM_CHOICES": json.dumps(choices), "OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}
    with team(tmp_path / "data", env=env) as people:
        for name in ("owner", "reader"):
            people.add(name)
        with people.client("owner") as owner, people.client("reader") as reader:
            owner.create_collection("tolls")
            people.upload("owner", "tolls", "tolls.md", "# Tolls\n\nThe keeper of the gate takes 3 coins in winter.\n")
            owner.set_member("tolls", "reader", "reader")
            table = "q,a\nHow many coins does the keeper take?,3"
            made = reader.import_questions("tolls", table, "csv", {"question": "q", "answers": "a"})
            eval_id = ended(reader, reader.start_eval(made["set_id"], WAYS)["eval_id"])["eval_id"]
            begun = reader.judge_eval(eval_id, 0, 1, model="small")
            with reader.eval_events(begun["eval_id"]) as stream:
                for _, data in stream:
                    if data["stage"].startswith("asking"):
                        break
            with pytest.raises(ApiError, match="no evaluation"):
                owner.judging(eval_id, 0, 1)
            owner.remove_member("tolls", "reader")
            assert ended(reader, begun["eval_id"], 20.0)["state"] == "failed"
