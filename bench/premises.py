"""How often a premise is called false, of questions as people asked them and with a name exchanged.

    python -m bench.premises --data ../shared/data

Each question is put to all passages of its file (hybrid retrieval, eight passages). The premises of the questions as they
are hold, so whatever is named of them is named wrongly, also where their own passages are withheld. In the others, one name
that the gold passage has is replaced by another, of which a passage of another article has it behind the same word: of no
particular kind, so that a person may stand where a place stood. A name that is not found out is not an error of the rule
alone: the gold passage may not be found, or may not say in one sentence what the question says.

The rule was made on the train files. Nothing was chosen on dev.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scipy.stats import beta

from agents.misnamed import Named, may_be, named_in, stands_in, without_possessive
from agents.premise import false_premise, presupposed
from core.protocols import Encoder
from core.settings import Settings
from core.text import sentence_spans
from core.types import Principal, Sample, Where
from eval.datasets import load_qa
from eval.report import table
from retrieval.adhoc import build_adhoc

HEAD = (
    "file",
    "questions",
    "with names",
    "named wrongly",
    "own passage withheld",
    "exchanged",
    "named",
    "right one said",
    "beside",
)
FILES = ("xquad/en-train", "clapnq/train", "xquad/en-dev", "clapnq/dev")
K = 8
EVERYONE = Where(principal=Principal(user_id="bench"))
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """A question with ``wrong`` in the place of ``right``."""

    question: str
    right: str
    wrong: str


def names_of(corpus: Sequence[tuple[str, str]]) -> list[tuple[str, Named]]:
    """(title, name) of every name in the passages' sentences."""
    return [
        (title, name) for title, text in corpus for a, b in sentence_spans(text) for name in named_in(text[a:b], text)
    ]


def exchanged(sample: Sample, pool: Sequence[tuple[str, Named]], rng: random.Random) -> Exchanged | None:
    """The question with one of its names replaced; None if it has none that its passage has, too."""
    if not sample.contexts:
        return None
    title, text = sample.contexts[0]
    taken = presupposed(sample.question)
    there = {n.name for n in named_in(text)}
    mine = [n for n in named_in(sample.question) if n.name in taken and n.name in there]
    if not mine:
        return None
    one = rng.choice(mine)
    others = [
        n
        for other, n in pool
        if other != title and n.before == one.before and not stands_in(n.name, text) and not may_be(n.name, one.name)
    ]
    alike = [n for n in others if len(n.name.split()) == len(one.name.split())] or others
    if not alike:
        return None
    wrong = rng.choice(alike).name
    return Exchanged(question=sample.question.replace(one.name, wrong, 1), right=one.name, wrong=wrong)


@dataclass(slots=True)
class Tally:
    """What was said of the questions of one file."""

    name: str
    questions: int = 0
    with_names: int = 0  # that take a name for granted
    wrongly: list[str] = field(default_factory=list)  # what was said of questions as they are
    withheld: list[str] = field(default_factory=list)  # … without their own passages among those found
    exchanged: int = 0
    named: int = 0  # of these: the exchanged name is called wrong
    replaced: int = 0  # … and the right one is said
    beside: int = 0  # something else is called wrong

    def row(self) -> tuple[str, ...]:
        n = self.questions
        return (
            self.name,
            str(n),
            str(self.with_names),
            f"{len(self.wrongly)} ({len(self.wrongly) / n:.1%}; 95 %: ≤ {at_most(len(self.wrongly), n):.1%})",
            str(len(self.withheld)),
            str(self.exchanged),
            str(self.named),
            str(self.replaced),
            str(self.beside),
        )


def at_most(errors: int, n: int) -> float:
    """The upper end of the 95 % interval (Clopper–Pearson, one-sided)."""
    return float(beta.ppf(0.95, errors + 1, n - errors)) if errors < n else 1.0


def measure(name: str, path: Path, encoder: Encoder, cache: Path) -> Tally:
    samples = load_qa(path).samples
    ids = {c: f"p{i}" for i, c in enumerate(dict.fromkeys(c for s in samples for c in s.contexts))}
    retriever = build_adhoc(Settings(), [(i, *c) for c, i in ids.items()], encoder, cache)
    pool, rng = names_of(list(ids)), random.Random(0)
    found = Tally(name)
    for sample in samples:
        own = {ids[c] for c in sample.contexts}
        hits = retriever.search(sample.question, K, EVERYONE)
        taken = presupposed(sample.question)
        found.questions += 1
        found.with_names += any(n.name in taken for n in named_in(sample.question))
        if (said := false_premise(sample.question, hits)) is not None:
            found.wrongly.append(f"{sample.question} {said.note()}")
        if (said := false_premise(sample.question, [h for h in hits if h.chunk.doc_id not in own])) is not None:
            found.withheld.append(f"{sample.question} {said.note()}")
        if (changed := exchanged(sample, pool, rng)) is None:
            continue
        found.exchanged += 1
        said = false_premise(changed.question, retriever.search(changed.question, K, EVERYONE))
        if said is None:
            continue
        if said.item != without_possessive(changed.wrong):
            found.beside += 1
            continue
        found.named += 1
        found.replaced += without_possessive(changed.right) in said.detail
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "openbook")
    parser.add_argument("--files", default=",".join(FILES))
    parser.add_argument("--show", action="store_true", help="print what was said wrongly")
    options = parser.parse_args(argv)

    from retrieval.encoders.openvino import OpenVinoEncoder

    encoder = OpenVinoEncoder(cache_dir=options.cache, threads=2)
    encoder.load()
    tallies = [
        measure(name, options.data / f"{name}.jsonl", encoder, options.cache) for name in options.files.split(",")
    ]
    print(table(HEAD, [t.row() for t in tallies], left=(0,)))
    if options.show:
        for said in (s for t in tallies for s in (*t.wrongly, *t.withheld)):
            print(said)


if __name__ == "__main__":
    main()
