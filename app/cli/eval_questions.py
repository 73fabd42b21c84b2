"""``openbook eval questions`` and ``openbook eval run``: questions of a collection, and ways compared on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.cli.common import READY_TIMEOUT_S, AsJson, Collection, DataDir, connected, fail, print_json, progress_bar, say
from app.table_text import form_of_table
from app.waiting import wait_for_lm
from core.wording import whole_document_note


def questions(
    collection: Collection,
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="How many are wanted.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same questions.")] = 0,
    multi_hop: Annotated[
        float, typer.Option("--multi-hop", min=0, max=0.5, help="Share of them that takes two passages.")
    ] = 0.1,
    written: Annotated[
        int, typer.Option("--written", min=0, max=200, help="How many of them the language model writes.")
    ] = 0,
    file: Annotated[
        Path | None, typer.Option("--file", exists=True, dir_okay=False, help="Read these (CSV or JSON lines) instead.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN of question, answers, document; may be repeated.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve all of them, unseen.")] = False,
    name: Annotated[str, typer.Option("--name", help="What the set is called.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make questions of a collection, without a language model unless --written asks for it, each tied to the passage that
    answers it.

    Example: openbook eval questions --collection filings --n 100
    """
    with connected(data_dir, lm=written > 0) as client:
        if written:
            wait_for_lm(client, READY_TIMEOUT_S)
        if file is None:
            found = client.make_questions(collection, n, name=name, seed=seed, multi_hop=multi_hop, written=written)
        else:
            form = form_of_table(file.name)
            data = file.read_bytes()
            mapping = _mapping(column) or client.import_questions(collection, data, form, None)["mapping"]
            found = client.import_questions(collection, data, form, mapping, name=name or file.name)
        if approve:
            client.decide_questions(found["set_id"], True)
            found = client.question_set(found["set_id"])
    if as_json:
        print_json(found)
        return
    for problem in found["origin"].get("problems", []):
        say(problem)
    print(f"{found['set_id']}: {found['n']:,} questions, {found['n_unanswerable']:,} that cannot be answered")
    if whole := found["origin"].get("whole_document"):
        print(whole_document_note(whole, found["n"]))
    for question in found["questions"][:10]:
        print(f"  [{question['kind']}] {question['question']}")
    if found["n"] > 10:
        print(f"  … and {found['n'] - 10:,} more")


def run(
    set_id: Annotated[str, typer.Argument(help="As `eval questions` said it.")],
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            help="retriever[:chunker][:rerank], or strategy=NAME[:model=NAME][:prompts=SET][:contexts=own|distractors|counterfactual]; the first is A. May be repeated.",
        ),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="AXIS=A,B,… of retriever, fusion, rerank, chunker, stress; or of strategy, model, prompts, contexts, stress. May be repeated.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Ask what nobody has approved, too.")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, help="Also write the report: FILE.html, or its tables as FILE.md."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Compare ways to search (or to answer) on a set of questions: means with intervals, and each against the first.

    Example: openbook eval run s0123 --config bm25 --config hybrid
    """
    if bool(configuration) == bool(axis):
        raise typer.BadParameter("give --config once or more, or --grid, as --grid retriever=bm25,hybrid")
    if report is not None and not report.resolve().parent.is_dir():
        raise typer.BadParameter(f"--report: there is no folder {report.resolve().parent}")
    which: Literal["approved", "not rejected"] = "not rejected" if everything else "approved"
    wanted, ways = _grid(axis or []), [_configuration(c) for c in configuration or ()]
    # Ways to answer that all name a model of their own need none of the server's.
    answers = [(s, m) for s in wanted.get("strategies", ()) for m in wanted.get("models", (None,))]
    answers += [(c["strategy"], c["model"]) for c in ways if "strategy" in c]
    lm = any(strategy != "extract" and model is None for strategy, model in answers)
    with connected(data_dir, lm=lm) as client:
        if lm:
            wait_for_lm(client, READY_TIMEOUT_S)
        begun = client.start_grid(set_id, wanted, which=which) if axis else client.start_eval(set_id, ways, which=which)
        with progress_bar("eval run") as bar, client.eval_events(begun["eval_id"]) as stream:
            for _, told in stream:
                bar(told["progress"], told["stage"])
        ended = client.eval(begun["eval_id"])
        if ended["state"] != "done":
            raise fail(f"the evaluation is {ended['state']}: {ended['error'] or 'it did not end'}")
        result = client.eval_result(begun["eval_id"])
        others = range(1, len(result["configurations"]))
        comparisons = [client.compare_eval(begun["eval_id"], 0, other) for other in others]
        if report is not None:
            form: Literal["html", "markdown"] = "markdown" if report.suffix.lower() == ".md" else "html"
            report.write_text(client.eval_report(begun["eval_id"], form), "utf-8")
        board = client.leaderboard(begun["eval_id"])
    result |= {"comparisons": comparisons, "leaderboard": board}
    print_json(result) if as_json else _print(result)


def leaderboard(
    set_id: Annotated[str, typer.Argument(help="As `eval questions` said it.")],
    answers: Annotated[bool, typer.Option("--answers", help="Of answering, not of searching.")] = False,
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="By this one; else by the first that tells questions apart.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """All that was measured on a set of questions, best first, with intervals and the Pareto front.

    Example: openbook eval leaderboard s0123
    """
    with connected(data_dir) as client:
        board = client.set_leaderboard(set_id, kind="qa" if answers else "retrieval", metric=metric)
    print_json(board) if as_json else _print_board(board)


_AXES = {
    "retriever": "retrievers",
    "fusion": "fusions",
    "rerank": "rerank",
    "chunker": "chunkers",
    "strategy": "strategies",
    "stress": "stress",
    "model": "models",
    "prompts": "prompts",
    "contexts": "contexts",
}
_OF_ANSWERING = ("model", "prompts", "contexts")


def _grid(axes: list[str]) -> dict[str, list[Any]]:
    """ "retriever=bm25,hybrid" → {"retrievers": ["bm25", "hybrid"]}; "as-is" is null, and rerank takes yes and no."""
    found: dict[str, list[Any]] = {}
    for one in axes:
        name, sign, values = one.partition("=")
        if not sign or name not in _AXES:
            raise typer.BadParameter(f"--grid {one}: give AXIS=A,B with one of {', '.join(_AXES)}")
        listed: list[Any] = [None if v == "as-is" else v for v in values.split(",") if v]
        if name == "rerank":
            if not set(listed) <= {"yes", "no"}:
                raise typer.BadParameter(f"--grid {one}: rerank takes yes, no, or yes,no")
            listed = [v == "yes" for v in listed]
        found[_AXES[name]] = listed
    return found


def _configuration(text: str) -> dict[str, Any]:
    if text.startswith("strategy="):
        found = dict(part.partition("=")[::2] for part in text.split(":"))
        if not set(found) <= {"strategy", *_OF_ANSWERING} or not all(found.values()):
            raise typer.BadParameter(f"--config {text}: give strategy=NAME[:model=NAME][:prompts=SET][:contexts=KIND]")
        return {"strategy": found["strategy"]} | {name: found.get(name) for name in _OF_ANSWERING}
    retriever, *rest = text.split(":")
    chunkers = [part for part in rest if part != "rerank"]
    if len(chunkers) > 1:
        raise typer.BadParameter(f"--config {text}: give retriever[:chunker][:rerank], as bm25:fixed")
    return {"retriever": retriever, "rerank": "rerank" in rest, "chunker": chunkers[0] if chunkers else None}


def _mapping(given: list[str] | None) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for one in given or ():
        field, sign, column = one.partition("=")
        if not sign:
            raise typer.BadParameter(f"--map {one}: give FIELD=COLUMN, as question=Query")
        found[field] = column
    return found


def _print(result: dict[str, Any]) -> None:
    from eval.html_report import noted_lines
    from eval.plots import mean_text
    from eval.report import table

    configurations = result["configurations"]
    names = list(configurations[0]["metrics"])
    rows = [(c["label"], *(mean_text(c["metrics"].get(name)) for name in names)) for c in configurations]
    print(
        f"{result['n_questions']:,} questions of {result['set']['name']}, {result['reused']:,} answers known before\n"
    )
    print(table(("", *names), rows))
    for line in (*noted_lines(configurations), *result["notes"]):
        print(line)
    if len(configurations) > 2:
        print()
        _print_board(result["leaderboard"])
    for comparison in result["comparisons"]:
        print(f"\nA is {comparison['a']['label']}, B is {comparison['b']['label']}")
        for metric in comparison["metrics"]:
            print(f"  {metric['metric']}: {metric['text']}")
        for note in comparison["notes"]:
            print(f"  {note}")


def _print_board(board: dict[str, Any]) -> None:
    from eval.html_report import told_apart
    from eval.plots import mean_text
    from eval.report import table

    rows = [
        (
            f"{i}. {p['label']}",
            mean_text(p),
            f"{p['seconds']:.4f}",
            told_apart(p),
            "yes" if p["on_front"] else "",
        )
        for i, p in enumerate(board["places"], start=1)
    ]
    print(f"by {board['metric'] or 'nothing yet'}, {board['n_questions']:,} questions\n")
    print(table(("", "mean", "s / question", "against the first", "Pareto front"), rows))
    for one in board.get("incomplete", []):
        print(f"not on all of these questions, with these documents and settings: {one['label']}")
