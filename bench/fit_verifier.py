"""Trains the small verifier, and judges it beside the rules and beside word coverage alone, in one run.

    python -m bench.fit_verifier --data ../shared/data --collection build/text-collection --write

Trained on the human judgements of faithfulness/ and, with little weight, on claims that ``bench.perturb`` makes from clapnq
train, xquad train and the text collection (unpacked; without it from the other two). Every figure is held out: by
document (ten folds; pairs that share a claim or an evidence stay together), by generator of BEGIN, and by data set. The
label is the shipped one: screening, rules, probability, and one threshold for all sets, chosen in the other folds.

``--write`` replaces models/shipped/verifier, agents/data/verifier_errors.json and docs/results/verifier.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.verify.cascade import HARD, Screened, screen
from agents.verify.findings import Finding
from agents.verify.reading import EvidenceReader
from agents.verify.rules import FEATURES
from agents.verify.trained import NAMES, look
from app.wiring import build_encoder, load_cli_settings
from bench.fitting import Array, Flags, fit_logistic, fold_of
from bench.perturb import claims, read_clapnq, read_collection, read_xquad
from bench.verifier_report import Judged, errors_of, model_card_of, table
from core.protocols import Encoder
from core.token_memory import TokenMemory
from core.types import VerdictLabel
from models.verifier_head import SHIPPED_VERIFIER, VerifierHead, save_head, standardised

SETS = ("wice", "begin-wow", "begin-cmu", "begin-tc")
N_FOLDS = 10
SEED = 0
L2 = 2.5e-3
MADE_WEIGHT = 0.05  # of all made claims together, where each human set weighs 1
N_MADE = 2500
_PRODUCT = 0.3  # products are kept this small beside the features, so that the same penalty holds them harder
# How long the texts are tells the data sets apart, and products with it do not carry over to other texts.
_LENGTHS = ("log_claim_to_evidence", "align_log_sentences", "align_log_marked")
ROOT = Path(__file__).resolve().parent.parent

Fit = Callable[[Sequence["Pairs"], Sequence[Flags]], Callable[[Array], Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """``decided`` is the verdict where no model is asked; ``findings`` are the rules' where one is."""

    name: str
    x: Array  # (n, len(NAMES)); zeros where decided
    y: Flags  # (n,) supported
    decided: list[VerdictLabel | None]
    findings: list[tuple[Finding, ...]]
    documents: list[str]
    generators: list[str]
    ms: float  # processor time per pair on one core, evidence read anew for each


def measured(name: str, rows: Sequence[Mapping[str, Any]], documents: Sequence[str], encoder: Encoder) -> Pairs:
    """The features of ``rows`` with claim, evidence, label and group."""
    x = np.zeros((len(rows), len(NAMES)))
    decided: list[VerdictLabel | None] = []
    findings: list[tuple[Finding, ...]] = []
    reader = EvidenceReader(TokenMemory(encoder))
    began = time.process_time()
    for i, row in enumerate(rows):
        screened = screen(str(row["claim"]), [str(row["evidence"])])
        if isinstance(screened, Screened):
            looked = look(screened.claim, screened.texts, reader)
            x[i] = looked.features
            findings.append(looked.seen.findings)
            decided.append(None)
        else:
            findings.append(())
            decided.append(screened.label)
        if i % 200 == 0:
            sys.stderr.write(f"\r{name}: {i} of {len(rows)} ")
    return Pairs(
        name=name,
        x=x,
        y=np.array([bool(r["label"]) for r in rows]),
        decided=decided,
        findings=findings,
        documents=list(documents),
        generators=[str(r.get("group", "")) for r in rows],
        ms=(time.process_time() - began) / len(rows) * 1000,
    )


def together(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name per row that rows share where they share, directly or through others, a claim or an evidence."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for row in rows:
        parent[root(f"e{str(row['evidence'])[:400]}")] = root(f"c{row['claim']}")
    return [root(f"c{row['claim']}") for row in rows]


def allowed(pairs: Pairs) -> Flags:
    """(n,): whether no rule keeps a pair from being supported."""
    return np.array(
        [
            not any(f.outcome == "conflict" or (f.outcome == "missing" and f.rule in HARD) for f in found)
            for found in pairs.findings
        ]
    )


def asked(pairs: Pairs) -> Flags:
    return np.array([d is None for d in pairs.decided])


def said(pairs: Pairs, p: Array, threshold: float) -> Flags:
    """(n,): called supported, as ``agents.verify.cascade`` does."""
    decided = np.array([d == "supported" for d in pairs.decided])
    return np.where(asked(pairs), (p >= threshold) & allowed(pairs), decided)


def scored(pairs: Pairs, p: Array, threshold: float) -> Array:
    """(n,): the score of the verdict."""
    capped = np.where(allowed(pairs), p, np.minimum(p, threshold - 0.01))
    return np.where(asked(pairs), capped, [float(d == "supported") for d in pairs.decided])


def balanced(parts: Sequence[tuple[Flags, float]]) -> Array:
    """Sample weights: each part weighs as told, and half of that for each of its labels."""
    return np.concatenate([w * np.where(y, 0.5 / max(y.sum(), 1), 0.5 / max((~y).sum(), 1)) for y, w in parts])


def linear(columns: Sequence[int]) -> Fit:
    """A logistic regression over some columns: the peers."""

    def fit(sets: Sequence[Pairs], kept: Sequence[Flags]) -> Callable[[Array], Array]:
        rows = [(s.x[k & asked(s)][:, columns], s.y[k & asked(s)]) for s, k in zip(sets, kept, strict=True)]
        x, y = (np.concatenate(part) for part in zip(*rows, strict=True))
        w, b = fit_logistic(x, y, L2, balanced([(y, 1.0) for _, y in rows]))
        return lambda new: np.asarray(1 / (1 + np.exp(-(new[:, columns] @ w + b))))

    return fit


def trained(made: Pairs) -> Fit:
    """The head. Made claims of a source that a fold holds out are not told apart: no source is in a human set."""

    def fit(sets: Sequence[Pairs], kept: Sequence[Flags]) -> Callable[[Array], Array]:
        head = fit_head(sets, kept, made)
        return lambda new: np.asarray(1 / (1 + np.exp(-head.logits(new))))

    return fit


def fit_head(sets: Sequence[Pairs], kept: Sequence[Flags], made: Pairs) -> VerifierHead:
    """Logistic regression over the standardised features and their products in pairs; thresholds are not set yet."""
    rows = [(s.x[k & asked(s)], s.y[k & asked(s)]) for s, k in zip(sets, kept, strict=True)]
    weights = [1.0] * len(rows)
    if len(made.y):
        rows.append((made.x[asked(made)], made.y[asked(made)]))
        weights.append(MADE_WEIGHT)
    x, y = (np.concatenate(part) for part in zip(*rows, strict=True))
    human = np.concatenate([part for part, _ in rows[: len(sets)]])
    mean, scale = human.mean(axis=0), np.maximum(human.std(axis=0), 1e-6)
    z = standardised(x, mean, scale)
    multiplied = np.array([n for n, name in enumerate(NAMES) if name not in _LENGTHS])
    i, j = (multiplied[side] for side in np.triu_indices(len(multiplied)))
    phi = np.concatenate([z, _PRODUCT * z[:, i] * z[:, j]], axis=1)
    per_part = balanced([(part, w) for (_, part), w in zip(rows, weights, strict=True)])
    w, b = fit_logistic(phi, y, L2, per_part, standardise=False)
    d = len(NAMES)
    pairs = np.zeros((d, d))
    pairs[i, j] = _PRODUCT * w[d:]
    return VerifierHead(
        features=NAMES, mean=mean, scale=scale, linear=w[:d], pairs=pairs, bias=b, supported_from=0.5, partial_from=0.25
    )


def held_out(sets: Sequence[Pairs], fit: Fit, fold: Callable[[Pairs, int], int]) -> list[Array]:
    """Probabilities of each set, from fits that saw no pair of their fold."""
    folds = [np.array([fold(s, i) for i in range(len(s.y))]) for s in sets]
    p = [np.full(len(s.y), 0.5) for s in sets]
    for k in sorted({int(n) for f in folds for n in f}):
        kept = [f != k for f in folds]
        parts = [(s, m) for s, m in zip(sets, kept, strict=True) if (m & asked(s)).any()]
        predict = fit([s for s, _ in parts], [m for _, m in parts])
        for s, values, m in zip(sets, p, kept, strict=True):
            if (~m).any():
                values[~m] = predict(s.x[~m])
    return p


def best_threshold(sets: Sequence[Pairs], p: Sequence[Array], kept: Sequence[Flags]) -> float:
    """The one for all sets at which their mean balanced accuracy is highest; of ties the middle."""
    levels = np.linspace(0.2, 0.8, 121)
    means = np.array([np.mean([_ba(s, q, t, k) for s, q, k in zip(sets, p, kept, strict=True)]) for t in levels])
    return float(np.median(levels[means >= means.max() - 1e-12]))


def _ba(pairs: Pairs, p: Array, threshold: float, kept: Flags) -> float:
    called, y = said(pairs, p, threshold)[kept], pairs.y[kept]
    return float((called[y].mean() + (~called[~y]).mean()) / 2)


def judged(sets: Sequence[Pairs], fit: Fit, fold: Callable[[Pairs, int], int]) -> dict[str, Judged]:
    """Each set, called by a threshold that the other folds chose."""
    p = held_out(sets, fit, fold)
    documents = [np.array([fold_of(d, N_FOLDS) for d in s.documents]) for s in sets]
    called = [np.zeros(len(s.y), bool) for s in sets]
    scores = [np.zeros(len(s.y)) for s in sets]
    for k in range(N_FOLDS):
        t = best_threshold(sets, p, [f != k for f in documents])
        for s, q, f, c, v in zip(sets, p, documents, called, scores, strict=True):
            c[f == k] = said(s, q, t)[f == k]
            v[f == k] = scored(s, q, t)[f == k]
    return {s.name: Judged(y=s.y, said=c, score=v, ms=s.ms) for s, c, v in zip(sets, called, scores, strict=True)}


def calibrated(
    head: VerifierHead, sets: Sequence[Pairs], p: Sequence[Array]
) -> tuple[VerifierHead, Callable[[Array], Array]]:
    """Platt's scaling of held-out logits, each set and each label weighing the same, folded into the weights."""
    rows = [(np.log(q[asked(s)] / (1 - q[asked(s)]))[:, None], s.y[asked(s)]) for s, q in zip(sets, p, strict=True)]
    logits, y = (np.concatenate(part) for part in zip(*rows, strict=True))
    (a,), b = fit_logistic(logits, y, 1e-6, balanced([(part, 1.0) for _, part in rows]))
    a = float(a)
    found = VerifierHead(
        features=head.features,
        mean=head.mean,
        scale=head.scale,
        linear=a * head.linear,
        pairs=a * head.pairs,
        bias=a * head.bias + b,
        supported_from=head.supported_from,
        partial_from=head.partial_from,
    )
    return found, lambda q: np.asarray(1 / (1 + np.exp(-(a * np.log(q / (1 - q)) + b))))


def human_sets(data: Path, encoder: Encoder) -> list[Pairs]:
    found = []
    for name in SETS:
        rows = _rows(data / "faithfulness" / f"{name}-dev.jsonl")
        found.append(measured(name, rows, together(rows), encoder))
    return found


def made_claims(data: Path, collection: Path | None, encoder: Encoder) -> Pairs:
    rng = random.Random(SEED)
    passages = [*read_clapnq(data / "clapnq" / "train.jsonl"), *read_xquad(data / "xquad" / "en-train.jsonl")]
    if collection is not None:
        passages += read_collection(collection, 250, rng)
    made = list(claims(passages, rng, 2))
    rng.shuffle(made)
    rows = [{"claim": m.claim, "evidence": m.evidence, "label": m.label, "group": m.kind} for m in made[:N_MADE]]
    return measured("made", rows, [m.source for m in made[:N_MADE]], encoder)


def fitted(sets: Sequence[Pairs], made: Pairs, command: str, *, write: bool) -> str:
    """Judges, fits on everything, and returns the report."""
    by_document = lambda s, i: fold_of(s.documents[i], N_FOLDS)  # noqa: E731
    generators = sorted({g for s in sets for g in s.generators})
    by_generator = lambda s, i: generators.index(s.generators[i])  # noqa: E731
    by_set = lambda s, i: SETS.index(s.name)  # noqa: E731
    own = trained(made)
    columns = {"coverage": [FEATURES.index("terms")], "rules": list(range(len(FEATURES)))}
    results = {name: judged(sets, linear(c), by_document) for name, c in columns.items()}
    results["trained"] = judged(sets, own, by_document)
    results["unseen generator"] = judged(sets, own, by_generator)
    results["coverage, unseen set"] = judged(sets, linear(columns["coverage"]), by_set)
    results["rules, unseen set"] = judged(sets, linear(columns["rules"]), by_set)
    results["trained, unseen set"] = judged(sets, own, by_set)

    everything = [np.ones(len(s.y), bool) for s in sets]
    p = held_out(sets, own, by_document)
    head, calibrate = calibrated(fit_head(sets, everything, made), sets, p)
    threshold = round(best_threshold(sets, [calibrate(q) for q in p], everything), 3)
    calibration = {
        s.name: Judged(y=s.y[asked(s)], said=s.y[asked(s)], score=calibrate(q)[asked(s)], ms=0.0)
        for s, q in zip(sets, p, strict=True)
    }
    caught = _made_caught(made, own, sets, everything, threshold)
    report = table(results, calibration, caught, command=command, threshold=threshold, n_made=len(made.y))
    if write:
        head = VerifierHead(
            features=head.features,
            mean=head.mean,
            scale=head.scale,
            linear=head.linear,
            pairs=head.pairs,
            bias=head.bias,
            supported_from=threshold,
            partial_from=round(threshold / 2, 3),
        )
        said_of_it = {"made_by": command, "fitted_on": [*(f"{s} dev" for s in SETS), "claims made by bench.perturb"]}
        save_head(SHIPPED_VERIFIER, head, said_of_it, model_card_of(report, command))
        errors = {name: errors_of(results[name]) for name in ("trained", "rules")}
        text = json.dumps({"made_by": command, "verifiers": errors}, indent=1) + "\n"
        (ROOT / "agents" / "data" / "verifier_errors.json").write_text(text, "utf-8")
        (ROOT / "docs" / "results" / "verifier.md").write_text(report, "utf-8")
    return report


def _made_caught(
    made: Pairs, fit: Fit, sets: Sequence[Pairs], everything: Sequence[Flags], threshold: float
) -> dict[str, tuple[int, float, bool]]:
    """Per kind of made claim: how many, the share called supported, whether that is right. Not held out."""
    if not len(made.y):
        return {}
    called = said(made, fit(sets, everything)(made.x), threshold)
    kinds = np.array(made.generators)
    return {
        k: (int((kinds == k).sum()), float(called[kinds == k].mean()), bool(made.y[kinds == k].all()))
        for k in sorted(set(made.generators))
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--collection", type=Path, help="the text collection, unpacked")
    parser.add_argument("--write", action="store_true", help="replace the shipped weights and the report")
    options = parser.parse_args(argv)
    encoder = build_encoder(load_cli_settings(encoder_threads=1))
    encoder.load()
    sets = human_sets(options.data, encoder)
    made = made_claims(options.data, options.collection, encoder)
    command = (
        "python -m bench.fit_verifier"
        + (" --collection build/text-collection" if options.collection else "")
        + " --write"
    )
    sys.stdout.write(fitted(sets, made, command, write=options.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
