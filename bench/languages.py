"""How much analysers by language find: paragraphs by questions in the same language, XQuAD, before and after.

"Before" is English analysis of every text, with pairs alone for Chinese, as it was until version 1 of the analysis (but for
runs of a single Chinese character). The paragraphs are all of a language's; the questions are those of one split. "All
at once" has the paragraphs of every language in one collection, with each paragraph's language known.

    openbook bench languages -- --data ../shared/data/xquad --split dev
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.types import Allowed, Chunk
from eval.metrics.ranking import PerQuery, evaluate_run, parse_metric
from eval.statistics import bootstrap_means, percentile_interval, randomization_test
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.languages import Analysers
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.tantivy import TantivyIndex

LANGUAGES = ("en", "de", "es", "ar", "hi", "zh")
METRICS = ("ndcg@10", "mrr@10")
_ONE_HAN = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Paragraphs:
    texts: Mapping[str, str]
    questions: Mapping[str, tuple[str, str]]  # id → question, id of its paragraph


class BeforeAnalyser(Analyser):
    """English, and Chinese in pairs alone."""

    def terms(self, text: str, *, spelt_plainly: bool = False) -> list[str]:
        return [term for term in super().terms(text, spelt_plainly=spelt_plainly) if not _ONE_HAN.fullmatch(term)]


class BeforeAnalysers(Analysers):
    def __init__(self) -> None:
        super().__init__()
        self._before = BeforeAnalyser()

    def of(self, key: str) -> Analyser:
        del key
        return self._before


def load(folder: Path, language: str, split: str) -> Paragraphs:
    """The paragraphs of both splits, with the language before their ids; the questions of one."""
    texts: dict[str, str] = {}
    questions: dict[str, tuple[str, str]] = {}
    for part in ("train", "dev"):
        for line in (folder / f"{language}-{part}.jsonl").read_text("utf-8").splitlines():
            sample = json.loads(line)
            paragraph = f"{language}-{sample['gold_ids'][0]}"
            texts[paragraph] = sample["contexts"][0]["text"]
            if part == split:
                questions[f"{language}-{sample['id']}"] = (sample["question"], paragraph)
    return Paragraphs(texts, questions)


def search(found: Paragraphs, reader: PassageReader) -> PerQuery:
    """Metrics by question, each asked of one index of all paragraphs."""
    index = TantivyIndex(None, reader)
    ids = list(found.texts)
    chunks = [_passage(found.texts[i]) for i in ids]
    languages = [i.partition("-")[0] for i in ids]
    index.add(range(len(ids)), chunks, [""] * len(ids), [1] * len(ids), languages)
    index.commit()
    everything = Allowed(rows=np.ones(len(ids), dtype=np.bool_), count=len(ids), collection_ids=(1,))
    run = {
        question: {ids[row]: score for row, score in index.search(text, 100, everything)}
        for question, (text, _) in found.questions.items()
    }
    index.close()
    # Where all languages are searched, a translation of the paragraph says the same; asked for is the question's own.
    qrels = {question: {paragraph: 1} for question, (_, paragraph) in found.questions.items()}
    return evaluate_run(run, qrels, [parse_metric(name) for name in METRICS])


def _passage(text: str) -> Chunk:
    return Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)


def row(name: str, before: PerQuery, after: PerQuery) -> str:
    cells = [name, str(len(before))]
    for metric in METRICS:
        a = np.array([before[q][metric] for q in before])
        b = np.array([after[q][metric] for q in before])
        low, high = percentile_interval(bootstrap_means(b - a), len(a))
        p = randomization_test((b - a).tolist()).p
        cells.append(
            f"{a.mean():.4f} → {b.mean():.4f} ({b.mean() - a.mean():+.4f} [{low:+.4f}, {high:+.4f}], p = {p:.3f})"
        )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="openbook bench languages", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data/xquad"), help="the folder of LANG-SPLIT.jsonl"
    )
    parser.add_argument("--split", choices=("train", "dev"), default="dev")
    options = parser.parse_args(arguments)
    print(f"| {options.split} | questions | nDCG@10 | MRR@10 |\n|---|---|---|---|")
    merged = Paragraphs({}, {})
    for language in LANGUAGES:
        found = load(options.data, language, options.split)
        merged = Paragraphs({**merged.texts, **found.texts}, {**merged.questions, **found.questions})
        print(_compared(language, found), flush=True)
    print(_compared("all at once", merged))
    return 0


def _compared(name: str, found: Paragraphs) -> str:
    before = search(found, PassageReader(BeforeAnalysers()))
    return row(name, before, search(found, PassageReader()))


if __name__ == "__main__":
    raise SystemExit(main())
