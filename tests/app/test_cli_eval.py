"""`openbook eval` as a person uses it: exit codes, clear lines, one JSON document on stdout.

One test starts real processes; the others call the command's ``main`` in this one, which saves starting it 20 times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli import main

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = {"d1": "cats purr at night", "d2": "dogs bark at night", "d3": "fish swim in water"}
QUERIES = {"q1": "what do cats do", "q2": "who can swim", "q3": "unicorns"}


def evaluate(*arguments: str | Path, data_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")}
    environment |= {"OPENBOOK_LM_RUNTIME": "none", "COLUMNS": "300"}
    command = [sys.executable, "-m", "app.cli", "eval", *map(str, arguments)]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=200, check=False)


class Command:
    """`openbook eval …` within this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        argv = ["openbook", "eval", *map(str, arguments)]
        self._monkeypatch.setattr(sys, "argv", argv)
        for name, value in {"COLUMNS": "300", "OPENBOOK_LM_RUNTIME": "none", **env}.items():
            self._monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(argv, int(ended.value.code or 0), said.out, said.err)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on stdout, with nothing on stderr, which is no terminal here."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines([{"_id": d, "title": "", "text": t} for d, t in DOCUMENTS.items()]))
    (folder / "queries.jsonl").write_text(lines([{"_id": q, "text": t} for q, t in QUERIES.items()]))
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\nq3\td2\t1\n")
    return folder


def test_retrieval_is_measured_saved_and_compared(command: Command, beir: Path, tmp_path: Path) -> None:
    arguments = ("retrieval", "--dataset", beir, "--split", "dev", "--retriever", "bm25", "--json")
    run = tmp_path / "bm25.trec"
    result = json_of(evaluate(*arguments, "--run-out", run, data_dir=tmp_path / "data"))
    assert (result["dataset"], result["retriever"], result["n_queries"]) == ("pets", "bm25", 3)
    # q1 and q2 find theirs at rank 1; nothing speaks of unicorns.
    assert result["metrics"] == {
        name: pytest.approx(2 / 3) for name in ("ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "hits@4")
    }
    saved = tmp_path / "bm25.json"
    saved.write_text(json.dumps(result))
    compared = json_of(command("compare", saved, run, "--qrels", beir / "qrels" / "dev.tsv", "--json"))
    assert {m["metric"]: m["difference"] for m in compared["metrics"]} == dict.fromkeys(result["metrics"], 0.0)
    shown = command("compare", saved, saved, "--metric", "map")
    assert shown.returncode == 0
    assert (
        "map: no evidence of a difference (B − A = +0.000 [0.000, 0.000], p = 1.00; all 3 questions are alike"
        in shown.stdout
    )


def test_further_metrics_at_any_cutoff_are_measured_beside_the_standard_ones(command: Command, beir: Path) -> None:
    arguments = ("retrieval", "--dataset", beir, "--split", "dev", "--retriever", "bm25")
    asked = ("--metric", "precision@5", "-m", "r_precision", "-m", "hits@1", "-m", "map")
    metrics = json_of(command(*arguments, *asked, "--json"))["metrics"]
    standard = ["ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "hits@4"]
    assert list(metrics) == [*standard, "precision@5", "r_precision", "hits@1"]
    # q1 and q2 find their one document among five, q3 none.
    assert metrics["precision@5"] == pytest.approx((1 / 5 + 1 / 5 + 0) / 3)
    assert metrics["r_precision"] == pytest.approx(2 / 3)
    assert "precision@5" in command(*arguments, *asked).stdout
    assert "precision" not in command(*arguments).stdout


def test_reranking_is_measured_beside_the_same_without(command: Command, beir: Path) -> None:
    arguments = ("retrieval", "--dataset", beir, "--split", "dev", "--retriever", "bm25", "--json")
    reranked, plain = (json_of(command(*arguments, flag)) for flag in ("--rerank", "--no-rerank"))
    assert plain["options"]["rerank"] is False
    expected = {"rerank": True, "reranker": "late"}
    assert expected.items() <= reranked["options"].items()
    assert {"depth", "weight"} <= set(reranked["options"])
    # Each question finds one passage: no order to change.
    assert reranked["metrics"] == plain["metrics"]


def test_a_cross_encoder_that_there_is_not_is_said_before_anything_is_computed(
    command: Command, beir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENBOOK_RERANKER", "cross-encoder")
    monkeypatch.setenv("OPENBOOK_RERANKER_MODEL", str(tmp_path / "nowhere"))
    done = command("retrieval", "--dataset", beir, "--split", "dev")
    assert done.returncode == 1
    assert "a cross-encoder is a folder with config.json" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["retrieval", "--dataset", "BEIR", "--retriever", "bm25"], 1, "has no split 'test' (qrels/test.tsv): choose"),
        (["retrieval", "--dataset", "NOWHERE"], 1, "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"),
        (["retrieval", "--dataset", "BEIR", "--retriever", "bm52"], 2, "'bm52' is not one of 'bm25'"),
        (["retrieval", "--dataset", "BEIR", "--run-out", "NOWHERE/run"], 2, "--run-out: there is no folder"),
        (["retrieval", "--dataset", "NOWHERE", "--metric", "hit@1"], 2, "unknown metric 'hit@1': choose ndcg, mrr"),
        (["retrieval", "--dataset", "NOWHERE", "-m", "precision"], 2, "needs a cutoff, as in 'precision@10'"),
        (["retrieval", "--dataset", "NOWHERE", "-m", "hits@1001"], 2, "'hits@1001': 1,000 documents are looked for"),
        (["retrieval"], 2, "--dataset"),
        (["run", "s1", "--config", "bm25", "--report", "NOWHERE/run"], 2, "--report: there is no folder"),
        (["qa", "--dataset", "NOWHERE"], 1, "give a JSON-lines file with lines {id, question, answers"),
        (["qa", "--dataset", "NOWHERE", "--pool", "--collection", "c"], 2, "exclude each other"),
        (["qa", "--dataset", "BARE"], 2, "name the documents to read with --collection"),
        (["faithfulness", "--dataset", "BARE"], 1, 'bare.jsonl, line 1: "label" is None: it must be 1'),
        (["compare", "NOWHERE", "NOWHERE"], 1, "give a result saved with --json, or a TREC run with --qrels"),
        (["compare", "QRELS", "QRELS"], 2, "name its judgements with --qrels FILE"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line_with_the_right_exit_code(
    command: Command, beir: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    bare = tmp_path / "bare.jsonl"
    bare.write_text(lines([{"id": "1", "question": "?", "answers": ["x"]}]))
    meant = {"BEIR": beir, "NOWHERE": tmp_path / "nowhere", "BARE": bare, "QRELS": beir / "qrels" / "dev.tsv"}
    given = [meant.get(a, tmp_path / "nowhere" / "run" if a == "NOWHERE/run" else a) for a in arguments]
    done = command(*given)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1


def test_ids_with_spaces_are_refused_before_anything_is_computed(command: Command, beir: Path, tmp_path: Path) -> None:
    (beir / "corpus.jsonl").write_text(lines([{"_id": "annual report.pdf", "text": "cats"}]))
    done = command("retrieval", "--dataset", beir, "--split", "dev", "--run-out", tmp_path / "run")
    assert done.returncode == 1
    assert "document id 'annual report.pdf' holds white space" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_verifier_is_measured(command: Command, tmp_path: Path) -> None:
    claims = tmp_path / "claims.jsonl"
    rows = [
        {"id": "1", "evidence": "Cats purr at night.", "claim": "Cats purr at night.", "label": 1},
        {"id": "2", "evidence": "Cats purr at night.", "claim": "The company sold 90 million phones.", "label": 0},
    ]
    claims.write_text(lines(rows))
    result = json_of(command("faithfulness", "--dataset", claims, "--json"))
    assert (result["n"], result["balanced_accuracy"], result["auroc"]) == (2, 1.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("where", [[], ["--pool"]], ids=["own contexts", "pool"])
def test_questions_are_answered_from_their_contexts(command: Command, tmp_path: Path, where: list[str]) -> None:
    questions = tmp_path / "qa.jsonl"
    rows = [
        {
            "id": "1",
            "question": "How tall is the tower?",
            "answers": ["330 metres"],
            "answerable": True,
            "contexts": [{"title": "Tower", "text": "The tower is 330 metres tall. It is painted brown."}],
        },
        {
            "id": "2",
            "question": "Who baked the bread?",
            "answers": [],
            "answerable": False,
            "contexts": [{"text": "Fish."}],
        },
    ]
    questions.write_text(lines(rows))
    arguments = ("qa", "--dataset", questions, "--strategy", "extract", "--json", *where)
    result = json_of(command(*arguments, "--data-dir", tmp_path / "data"))
    assert (result["n"], result["contains"], result["n_failed"]) == (2, 1.0, 0)
    assert result["citation_recall"] == 1.0


def test_tool_calls_are_measured_with_the_model_of_the_settings(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    (folder / "possible_answer").mkdir(parents=True)
    function = {
        "name": "tide",
        "description": "d",
        "parameters": {"type": "dict", "properties": {"day": {"type": "string"}}},
    }
    for i, day in enumerate(("Monday", "Tuesday")):
        line = {
            "id": f"simple_{i}",
            "question": [[{"role": "user", "content": f"High tide on {day}?"}]],
            "function": [function],
        }
        truth = {"id": f"simple_{i}", "ground_truth": [{"tide": {"day": [day]}}]}
        for path, value in ((folder / "simple.json", line), (folder / "possible_answer" / "simple.json", truth)):
            with path.open("a") as file:
                file.write(json.dumps(value) + "\n")
    script = tmp_path / "script.json"
    calls = [{"name": "tide", "arguments": {"day": "Monday"}}]
    script.write_text(json.dumps({"replies": [{"when": "", "times": 0, "text": "", "tool_calls": calls}]}))

    measured = command(
        "toolcalls", "--dataset", folder, "--json", OPENBOOK_LM_RUNTIME="scripted", OPENBOOK_LM_SCRIPT=str(script)
    )
    found = json_of(measured)
    assert (found["n"], found["accuracy"], found["mode"], found["by_category"]) == (2, 0.5, "native", {"simple": 0.5})

    saved = tmp_path / "saved.json"
    saved.write_text(measured.stdout)
    compared = json_of(command("compare", saved, saved, "--json"))
    assert compared["metrics"][0]["metric"] == "accuracy"

    without = command("toolcalls", "--dataset", folder, OPENBOOK_LM_RUNTIME="none")
    assert without.returncode == 1 and "lm_runtime is none" in without.stderr


def test_the_gate_closes_on_a_loss_and_says_which(command: Command, tmp_path: Path) -> None:
    def save(name: str, values: list[float]) -> Path:
        path = tmp_path / name
        per_query = {f"q{i}": {"ndcg@10": value, "map": 0.5} for i, value in enumerate(values)}
        path.write_text(json.dumps({"kind": "retrieval", "retriever": "r", "dataset": "d", "per_query": per_query}))
        return path

    old, worse = save("old.json", [0.3, 0.6] * 20), save("new.json", [0.25, 0.55] * 20)
    closed = command("gate", worse, "--baseline", old, "--margin", "0.01", "--json")
    assert closed.returncode == 1 and "in ndcg@10" in closed.stderr
    found = json.loads(closed.stdout)
    assert {m["metric"]: m["passed"] for m in found["metrics"]} == {"ndcg@10": False, "map": True}

    opened = command("gate", worse, "--baseline", old, "-m", "ndcg@10=0.06")
    assert opened.returncode == 0 and "ndcg@10: −0.050 [−0.050, −0.050] passes a margin of 0.06" in opened.stdout
    grown = save("grown.json", [0.3, 0.6] * 21)
    refused = command("gate", grown, "--baseline", old)
    assert refused.returncode == 1 and "--intersect compares those in both" in refused.stderr
    shared = command("gate", grown, "--baseline", old, "--intersect")
    assert shared.returncode == 0 and "over 40 questions" in shared.stdout
    assert "only those in both are compared" in shared.stdout
    wrong = command("gate", worse, "--baseline", old, "-m", "ndcg@10=lots")
    assert wrong.returncode == 2 and "NAME or NAME=MARGIN" in wrong.stderr


def test_contamination_reads_what_is_published_and_tells_ids_apart(command: Command, tmp_path: Path) -> None:
    asked = "How many silver coins does the keeper of the northern gate take in winter?"
    squad = {"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1", "question": asked, "answers": []}]}]}]}
    (tmp_path / "dev.json").write_text(json.dumps(squad))
    hotpot = [{"_id": "h", "question": asked, "answer": "3", "context": []}]
    (tmp_path / "train.json").write_text(json.dumps(hotpot))
    found = json_of(command("contamination", tmp_path / "dev.json", "--against", tmp_path / "train.json", "--json"))
    assert [(o["question_id"], o["where"], o["share"]) for o in found["found"]] == [("1", "h", 1.0)]
    (tmp_path / "twice.jsonl").write_text(lines([{"id": "1", "question": asked}, {"id": "1", "question": asked + "?"}]))
    twice = command("contamination", tmp_path / "twice.jsonl", "--against", tmp_path / "train.json")
    assert twice.returncode == 1 and "twice.jsonl: the id '1' stands a second time: ids must differ" in twice.stderr
    other_way = command("contamination", tmp_path / "dev.json", "--against", tmp_path / "twice.jsonl")
    assert other_way.returncode == 0, "the texts that it is held against need no ids"


def test_a_judge_is_asked_once_and_held_against_labels(command: Command, tmp_path: Path) -> None:
    asked = [{"id": str(i), "question": f"Which pet is it, {i}?", "answers": ["cats"]} for i in range(12)]
    (tmp_path / "qa.jsonl").write_text(lines(asked))
    for name, said in (("a", "cats purr"), ("b", "dogs bark")):
        answers = {q["id"]: {"text": said, "abstained": False} for q in asked}
        (tmp_path / f"{name}.json").write_text(json.dumps({"answers": answers}))
    labels = [{"id": q["id"], "better": "b" if q["id"] == "3" else "a"} for q in asked]
    (tmp_path / "people.jsonl").write_text(lines(labels))
    replies = [
        {"when": "Which pet is it, 3?", "text": '{"better": "tie"}', "times": 0},
        {"when": '<answer id="1">cats', "text": '{"better": "1"}', "times": 0},
        {"text": '{"better": "2"}', "times": 0},
    ]
    (tmp_path / "script.json").write_text(json.dumps({"replies": replies}))
    lm = {"OPENBOOK_LM_RUNTIME": "scripted", "OPENBOOK_LM_SCRIPT": str(tmp_path / "script.json")}
    files = [tmp_path / "a.json", tmp_path / "b.json", "--dataset", tmp_path / "qa.jsonl", "--work", tmp_path / "kept"]
    first = json_of(command("judge", *files, "--labels", tmp_path / "people.jsonl", "--json", **lm))
    assert (first["n"], first["n_left"], first["b_preferred"]) == (12, 0, pytest.approx(0.5 / 12))
    # 11 of 12 agree. By chance 11/12 · 11/12 say the first: (11/12 − 121/144) / (1 − 121/144) = 11/23.
    assert first["people"]["kappa"] == pytest.approx(11 / 23)
    mute = {"replies": [{"when": "never said", "text": ""}]}  # to whom anything that is asked is an error
    (tmp_path / "script.json").write_text(json.dumps(mute))
    again = command("judge", *files, **lm)
    assert "12 pairs that differ; 0 replies asked for" in again.stdout
    assert "B preferred            0.042 [" in again.stdout
    nobody = command("judge", *files)
    assert nobody.returncode == 1 and "lm_runtime is none" in nobody.stderr
