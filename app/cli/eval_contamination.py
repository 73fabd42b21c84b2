"""``openbook eval contamination``: whether questions stand in what a system was trained on, or searches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.common import AsJson, DataDir, connected, print_json
from core.errors import InvalidRequest

if TYPE_CHECKING:
    from eval.contamination import Contamination

_SHOWN = 10


def contamination(
    dataset: Annotated[
        str,
        typer.Argument(
            help="FILE.jsonl, SQuAD or HotpotQA as FILE.json, FOLDER:SPLIT of a BEIR folder, or a set of questions as `eval questions` said."
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", help="FILE.jsonl, FILE.json or FOLDER:SPLIT (or FOLDER: its corpus); may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Look for questions that were seen before: runs of 8 words that they share with training sets or the collection.

    A set of questions of the server's is checked against its own collection.

    Example: openbook eval contamination clapnq/dev.jsonl --against clapnq/train.jsonl
    """
    from eval.contamination import contamination as check

    if not against:
        if Path(dataset.partition(":")[0]).exists():
            raise typer.BadParameter("name what to check against with --against FILE.jsonl or FOLDER:SPLIT")
        with connected(data_dir) as client:
            found = client.contamination(dataset)
        print_json(found) if as_json else print(_text(found))
        return
    result: Contamination = check(_questions(dataset), {name: _texts(name) for name in dict.fromkeys(against)})
    print_json(result.to_json()) if as_json else print(_text(result.to_json()))


def _questions(name: str) -> dict[str, str]:
    """Raises InvalidRequest for an id that stands twice: one of the two would not be looked for."""
    found: dict[str, str] = {}
    for own, said in _texts(name):
        if own in found:
            raise InvalidRequest(f"{name}: the id {own!r} stands a second time: ids must differ", code="bad-dataset")
        found[own] = said
    return found


def _texts(name: str) -> Iterator[tuple[str, str]]:
    """(id, text) of a data set: questions, claims or queries of a split; of a folder without a split its corpus."""
    from eval.datasets import load_beir, load_qa
    from eval.jsonl import read_jsonl
    from eval.public_sets import is_published_form

    path, _, split = name.partition(":")
    folder = Path(path)
    if folder.is_dir() and split:
        yield from load_beir(folder, split).queries.items()
        return
    if folder.is_file() and is_published_form(folder):
        yield from ((sample.id, sample.question) for sample in load_qa(folder, judged=False).samples)
        return
    file = folder / "corpus.jsonl" if folder.is_dir() else folder
    for number, line in enumerate(read_jsonl(file), start=1):
        fields = line.values
        own = next((str(fields[k]) for k in ("id", "_id") if k in fields), str(number))
        said = [str(fields[k]) for k in ("question", "claim", "text") if isinstance(fields.get(k), str)]
        if not said:
            raise line.error('holds no "question", "claim" or "text"')
        yield own, "\n".join(said)


def _text(found: dict[str, Any]) -> str:
    lines = [
        f"{s['source']}: {s['contaminated']:,} of {found['n_questions']:,} questions share half of their runs of "
        f"{found['n']} words with its {s['texts']:,} texts"
        for s in found["sources"]
    ]
    lines += [
        f"  {o['question_id']}: {o['share']:.0%} in {o['where']} ({o['source']})" for o in found["found"][:_SHOWN]
    ]
    if len(found["found"]) > _SHOWN:
        lines.append(f"  … and {len(found['found']) - _SHOWN:,} more (--json has them all)")
    if found["n_short"]:
        lines.append(f"{found['n_short']:,} questions are too short to tell")
    return "\n".join(lines)
