"""``openbook tune``: fit how the two halves of hybrid search are joined, and say what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app import wiring
from app.cli.collections import fusion_text
from app.cli.common import AsJson, DataDir, connected, fail, print_json, progress_bar, say
from core.settings import Settings

# What eval imports (scipy) is loaded by the command itself: every other command starts without it.


def tune(
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="The collection to fit; without one, the data set's own corpus."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset",
            help='JSON lines {"query", "doc": doc_id, file name or title}, or a BEIR folder whose documents these are.',
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which qrels/SPLIT.tsv of a BEIR folder.")] = "dev",
    apply: Annotated[
        bool, typer.Option("--apply", help="Keep it for the collection, if its gain can be shown.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the settings; fits nothing.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the folds and the resampling.")] = 0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Fit the fusion of hybrid search on questions whose documents are known: convex or rrf, its weight, its depth.

    The gain is measured on questions that the fit has not seen, against what is used now. One that cannot be shown is
    neither claimed nor applied.

    Example: openbook tune --collection filings --dataset questions.jsonl --apply
    """
    if reset:
        if collection is None or dataset is not None or apply:
            raise typer.BadParameter("--reset goes with --collection alone")
        with connected(data_dir) as client:
            done = client.reset_fusion(collection)
        print_json(done) if as_json else print(f"{collection}: {fusion_text(done['fusion'])}, as the settings say")
        return
    if dataset is None:
        raise typer.BadParameter("--dataset: give questions whose documents are known")
    if collection is None:
        if apply:
            raise typer.BadParameter(
                "--apply needs --collection: what was fitted on another corpus is not shown to be good for yours"
            )
        found = _own_corpus(wiring.load_cli_settings(data_dir=data_dir), dataset, split, seed)
    else:
        questions = _questions(dataset, split)
        with connected(data_dir) as client:
            found = client.tune(collection, questions, dataset=dataset.resolve().name, apply=apply, seed=seed)
    print_json(found) if as_json else _report(found)
    if apply and not found["applied"]:
        raise fail(found["refused"])


def _own_corpus(settings: Settings, folder: Path, split: str, seed: int) -> dict[str, Any]:
    from app.tuning import questions_of, tune
    from eval.datasets import load_beir
    from retrieval.adhoc import build_adhoc
    from retrieval.fusion_weights import weights_of
    from retrieval.stage_lists import CorpusLists

    data = load_beir(folder, split)
    with progress_bar("tune") as bar:
        retriever = build_adhoc(
            settings,
            ((d.doc_id, d.title, d.text) for d in data.corpus),
            wiring.build_encoder(settings),
            wiring.model_cache_dir() / "vectors",
            retriever="hybrid",
            report=lambda done, total: bar(done / total if total else 1.0, f"encoding {done:,} of {total:,}"),
        )
        lists = CorpusLists(retriever)
        tuned = tune(
            lists,
            lists.document_names(),
            questions_of(data),
            weights_of(settings),
            seed=seed,
            progress=lambda stage, done, total: bar(done / total, f"{stage} {done:,} of {total:,}"),
        )
    return tuned.to_json() | {"collection": None, "dataset": f"{data.name} {split}", "applied": False, "refused": None}


def _questions(dataset: Path, split: str) -> list[dict[str, Any]]:
    from app.tuning import questions_of
    from eval.datasets import load_beir
    from eval.judged import load_judged

    if dataset.is_dir():
        return [{"id": q.id, "query": q.query, "docs": dict(q.docs)} for q in questions_of(load_beir(dataset, split))]
    judged, without = load_judged(dataset)
    if without:
        say(f"{without} questions name no document and are left out")
    return [{"id": q.id, "query": q.query, "docs": dict.fromkeys(q.docs, 1)} for q in judged]


def _report(found: dict[str, Any]) -> None:
    where = found["collection"] or f"{found['dataset']}, its own corpus"
    print(f"{where}: {found['n_questions']:,} questions, {found['n_candidates']} ways to fuse, {found['metric']}\n")
    print(f"  now     {fusion_text(found['present']):<34} {found['present_mean']:.4f}")
    print(
        f"  fitted  {fusion_text(found['chosen']):<34} {found['chosen_mean_seen']:.4f} on the questions that chose it"
    )
    unseen = f"{found['chosen_mean_unseen']:.4f} on questions that it has not seen"
    print(f"  {'':<42} {unseen} ({found['n_folds']} folds)\n")
    print(f"A is now, B is fitted: {found['text']}")
    if found["applied"]:
        print(
            f"\napplied to {found['collection']}; go back with `openbook tune --collection {found['collection']} --reset`"
        )
    elif found["collection"] is None and found["shown"]:
        chosen = found["chosen"]
        own = f"FUSION_ALPHA={chosen['alpha']}" if chosen["fusion"] == "convex" else f"RRF_K={chosen['rrf_k']}"
        print(f"\nOPENBOOK_FUSION={chosen['fusion']} OPENBOOK_{own} OPENBOOK_FUSION_DEPTH={chosen['depth']}")
