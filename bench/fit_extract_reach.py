"""Fits what ``extract`` weighs in languages that the encoder has not learnt, on xquad train, and reports its error on dev.

    python -m bench.fit_extract_reach --data ../shared/data --write

One fit for what its vocabulary reads (German, Spanish), one for what it only spells (Chinese, Arabic, Hindi): decision
0263. The ranker is fitted as in English. The decision learns whether what would be quoted *holds the answer*, from
each question asked once with and once without its paragraph among the others; its threshold is the lowest at which, out of
fold on train, at most the allowed share of the answers is wrong. Translations of one paragraph are in one fold. Nothing
is chosen on dev. ``--write`` replaces these fits in agents/data/extract.json, and docs/results/extract_languages.md.

The peers in the same run are the English weights, which were used before, and the plain rule of ``bench.fit_extract``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from agents.calibration import ExtractFit, Linear, load_extract_calibration, shipped_text
from agents.scoring import MAX_SENTENCES, worth_quoting
from bench.fit_extract import (
    L2,
    ROOT,
    SHIPPED,
    Bench,
    Case,
    Cases,
    as_json,
    contains,
    fit_ranker,
    others_fit,
    plain,
    probability,
    top,
)
from bench.fitting import Array, Flags, fit_logistic, fold_of
from core.reach import Reach

LANGUAGES: dict[Reach, tuple[str, ...]] = {"read": ("de", "es"), "spelt": ("zh", "ar", "hi")}
MAX_WRONG = 0.1  # of the answers; nearly all of them quote the right paragraph beside the answer
FOLDS = 10


def asked(sets: Sequence[Cases]) -> list[Case]:
    """Each question with and without its paragraph in the pool."""
    return [case for cases in sets for case in (*cases.pool, *cases.withheld)]


def holds(case: Case, ranker: Array) -> bool:
    """Whether one of the sentences that would be quoted holds the answer."""
    quoted = worth_quoting(case.reading.quotable(case.features @ ranker))[:MAX_SENTENCES]
    return bool(case.answerable and case.right[quoted].any())


def fit_decision(cases: Sequence[Case], ranker: Array) -> tuple[Array, float]:
    """(weights of ANSWER_FEATURES, bias)."""
    x = np.array([case.answer_features(ranker) for case in cases])
    return fit_logistic(x, np.array([holds(case, ranker) for case in cases]), L2)


def fitted(sets: Sequence[Cases]) -> ExtractFit:
    """The ranker and the decision on all; the threshold from folds."""
    probabilities, right = out_of_fold(sets)
    ranker = fit_ranker([case for cases in sets for case in (*cases.own, *cases.pool)])
    weights, bias = fit_decision(asked(sets), ranker)
    return ExtractFit(
        ranker=Linear(weights=ranker, bias=0.0),
        answerable=Linear(weights=weights, bias=bias),
        threshold=lowest_threshold(probabilities, right),
    )


def out_of_fold(sets: Sequence[Cases]) -> tuple[Array, Flags]:
    """(n,) probabilities of questions from fits that saw none of their paragraph in any language, and what was right."""
    found: list[float] = []
    truth: list[bool] = []
    for fold in range(FOLDS):
        seen = [case for cases in sets for case in (*cases.own, *cases.pool) if fold_of(case.group, FOLDS) != fold]
        ranker = fit_ranker(seen)
        known = [case for case in asked(sets) if fold_of(case.group, FOLDS) != fold]
        weights, bias = fit_decision(known, ranker)
        fit = ExtractFit(
            ranker=Linear(weights=ranker, bias=0.0), answerable=Linear(weights=weights, bias=bias), threshold=0.5
        )
        for case in asked(sets):
            if fold_of(case.group, FOLDS) == fold:
                found.append(probability(fit, case))
                truth.append(holds(case, ranker))
    return np.array(found), np.array(truth)


def lowest_threshold(probabilities: Array, right: Flags) -> float:
    """The lowest from which on at most ``MAX_WRONG`` of what is answered is wrong, to three places."""
    order = np.argsort(-probabilities, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    kept = np.flatnonzero(wrong <= MAX_WRONG)
    return round(float(probabilities[order[kept[-1]]]) - 5e-4, 3) if len(kept) else 1.0


# ---------------------------------------------------------------- measuring


def answered(fit: ExtractFit, cases: Sequence[Case]) -> tuple[float, float]:
    """Of these questions: the share answered, and of the answers the share that does not hold it."""
    said = [case for case in cases if probability(fit, case) >= fit.threshold]
    wrong = sum(not holds(case, fit.ranker.weights) for case in said)
    return len(said) / len(cases), wrong / max(1, len(said))


def order(fit: ExtractFit, case: Case) -> Array:
    """(n_sentences,) scores."""
    return case.reading.quotable(fit.ranker(case.features))


def rows(reach: Reach, fit: ExtractFit, english: ExtractFit, dev: Mapping[str, Cases]) -> list[str]:
    """Markdown table rows, one per language."""
    lines = []
    for language in LANGUAGES[reach]:
        cases = dev[language]
        first = [top(cases.pool, plain)] + [top(cases.pool, partial(order, f)) for f in (english, fit)]
        cells = [language, *(f"{one:.1%} / {three:.1%}" for one, three in first)]
        for f in (english, fit):
            rate, wrong = answered(f, cases.pool)
            none, _ = answered(f, cases.withheld)
            cells += [f"{rate:.1%}", f"{wrong:.1%}", f"{none:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def report(fits: Mapping[Reach, ExtractFit], english: ExtractFit, dev: Mapping[str, Cases]) -> str:
    head = [
        "# `extract` in languages that the encoder has not learnt: its error on dev",
        "",
        "Made by `python -m bench.fit_extract_reach --write`. Fitted on xquad train of the languages named; nothing was chosen on dev (240",
        "questions each, over all paragraphs). “Before” are the English weights and their threshold. First / in three: the first sentence, or one of",
        "the first three, holds the answer, where every question is answered. Wrong: of the answers, those that do not hold it.",
        "Without: the share that is answered all the same where the paragraph was taken out of the pool; all of these are wrong.",
        "",
        "| language | plain: first / in three | before | now | before: answered | wrong | without | now: answered | wrong | without |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines = [line for reach, fit in fits.items() for line in rows(reach, fit, english, dev)]
    tail = [f"Thresholds: {', '.join(f'{reach} {fit.threshold}' for reach, fit in fits.items())}.", ""]
    return "\n".join([*head, *lines, "", *tail])


def main(argv: Sequence[str] | None = None) -> int:
    options = Bench.started(argv, __doc__)

    def load(language: str, split: str) -> Cases:
        return options.load(f"xquad/{language}-{split}", contains)

    fits = {reach: fitted([load(language, "train") for language in some]) for reach, some in LANGUAGES.items()}
    dev = {language: load(language, "dev") for some in LANGUAGES.values() for language in some}
    text = report(fits, load_extract_calibration().fit("english"), dev)
    print(text)
    if options.write:
        if not others_fit(options.encoder_name):
            print("the shipped English weights belong to another encoder: run bench.fit_extract first", file=sys.stderr)
            return 1
        shipped = json.loads(shipped_text())
        for reach, fit in fits.items():
            shipped[reach] = as_json(fit, [f"xquad {language} train" for language in LANGUAGES[reach]])
        SHIPPED.write_text(json.dumps(shipped, indent=2) + "\n", "utf-8")
        (ROOT / "docs" / "results" / "extract_languages.md").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
