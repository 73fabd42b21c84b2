"""Question-answering sets as BEIR folders, so that a choice in retrieval can be measured on more than one field.

    python -m bench.as_beir clapnq|xquad-LANG OUT_DIR [--data DIR]
    python -m bench.as_beir SPLIT=FILE.jsonl [SPLIT=FILE.jsonl …] OUT_DIR

The corpus has every passage that stands in a question's contexts, of all splits together, once. A question that can be
answered is judged, with its own passages as the relevant ones; a question that cannot is left out, since its passage is
there to mislead. Nobody judged the other passages, so a second passage that answers as well counts as a miss.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidRequest
from eval.datasets import QaDataset, load_qa

ROOT = Path(__file__).parents[1]
SPLITS = ("train", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    documents: int
    judged: Mapping[str, int]  # split → questions
    left_out: Mapping[str, int]  # split → questions that cannot be answered or have no passage


def passage_id(title: str, text: str) -> str:
    """Sixteen hex digits of the passage's content: the same passage has the same id in every export."""
    return hashlib.sha256(f"{len(title)}:{title}{text}".encode()).hexdigest()[:16]


def export(splits: Mapping[str, QaDataset], folder: Path) -> Exported:
    """Writes corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv into ``folder``.

    Raises:
        InvalidRequest: a question id that two splits share, or a split without a question that can be judged.
    """
    corpus: dict[str, tuple[str, str]] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, list[tuple[str, str]]] = {}
    judged, left_out = {}, {}
    for split, data in splits.items():
        pairs: list[tuple[str, str]] = []
        for sample in data.samples:
            ids = [passage_id(title, text) for title, text in sample.contexts]
            corpus.update(zip(ids, sample.contexts, strict=True))
            if sample.id in queries:
                raise InvalidRequest(
                    f"question {sample.id!r} stands in {split} and in a split before it: ids must differ",
                    code="bad-dataset",
                )
            if sample.answerable and ids:
                queries[sample.id] = sample.question
                pairs += [(sample.id, one) for one in dict.fromkeys(ids)]
        qrels[split] = pairs
        judged[split] = len({question for question, _ in pairs})
        left_out[split] = len(data.samples) - judged[split]
        if not pairs:
            raise InvalidRequest(f"{split} has no answerable question with a passage: nothing to judge", code="usage")
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write(
        folder / "corpus.jsonl",
        [
            json.dumps({"_id": one, "title": title, "text": text}, ensure_ascii=False)
            for one, (title, text) in corpus.items()
        ],
    )
    _write(
        folder / "queries.jsonl",
        [json.dumps({"_id": one, "text": text}, ensure_ascii=False) for one, text in queries.items()],
    )
    for split, pairs in qrels.items():
        _write(folder / "qrels" / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t1" for q, d in pairs)])
    return Exported(documents=len(corpus), judged=judged, left_out=left_out)


def files_of(names: Sequence[str], data: Path) -> dict[str, Path]:
    """Split → file, of a set known by name or of SPLIT=FILE arguments.

    Raises:
        InvalidRequest: no such set, or a split named twice.
    """
    if any("=" in name for name in names):
        files: dict[str, Path] = {}
        for name in names:
            split, _, path = name.partition("=")
            if not path or split in files:
                raise InvalidRequest(f"{name!r}: give each split once, as in dev=questions.jsonl", code="usage")
            files[split] = Path(path)
        return files
    if len(names) != 1:
        raise InvalidRequest(f"{' '.join(names)}: give one set by name, or SPLIT=FILE for each split", code="usage")
    name, _, language = names[0].partition("-")
    stem = f"{language}-" if language else ""
    files = {s: data / name / f"{stem}{s}.jsonl" for s in SPLITS}
    files = {s: path for s, path in files.items() if path.is_file()}
    if not files:
        raise InvalidRequest(
            f"no set {names[0]!r} under {data}: there are {', '.join(known_sets(data)) or 'none'}, or give SPLIT=FILE.jsonl",
            code="usage",
        )
    return files


def known_sets(data: Path) -> list[str]:
    """Names of the sets with questions and passages that lie under ``data``."""
    found = set()
    for split in SPLITS:
        found |= {path.parent.name for path in data.glob(f"*/{split}.jsonl")}
        found |= {
            f"{path.parent.name}-{path.stem.removesuffix(f'-{split}')}" for path in data.glob(f"*/??-{split}.jsonl")
        }
    return sorted(found)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.as_beir", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sets", nargs="+", help="clapnq, xquad-en, … or SPLIT=FILE.jsonl for each split")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args(argv)
    files = files_of(arguments.sets, arguments.data)
    done = export({split: load_qa(path) for split, path in files.items()}, arguments.out_dir)
    print(f"{arguments.out_dir}: {done.documents:,} documents")
    for split, n in done.judged.items():
        print(f"  qrels/{split}.tsv: {n:,} questions judged, {done.left_out[split]:,} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
