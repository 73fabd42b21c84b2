"""The tables and the card of ``bench.fit_verifier``, and the error rates that people are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.fitting import Array, Flags, auroc, balanced_accuracy
from bench.verify_rules import ece

CONVERSATION = ("begin-wow", "begin-cmu", "begin-tc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One verifier on one set, all (n,)."""

    y: Flags
    said: Flags
    score: Array
    ms: float


def errors_of(results: Mapping[str, Judged]) -> dict[str, dict[str, float]]:
    """As ``agents.verify.errors`` reads them."""
    kinds = {"documents": ["wice"], "conversation": list(CONVERSATION)}
    return {kind: _rates([results[n] for n in names]) for kind, names in kinds.items()}


def _rates(parts: Sequence[Judged]) -> dict[str, float]:
    y, said = (np.concatenate([getattr(p, name) for p in parts]) for name in ("y", "said"))
    return {
        "wrongly_supported": round(float(said[~y].mean()), 4),
        "wrongly_doubted": round(float((~said[y]).mean()), 4),
        "balanced_accuracy": round(balanced_accuracy(said, y), 4),
        "n": len(y),
    }


def table(
    results: Mapping[str, Mapping[str, Judged]],
    calibration: Mapping[str, Judged],
    caught: Mapping[str, tuple[int, float, bool]],
    *,
    command: str,
    threshold: float,
    n_made: int,
) -> str:
    """The report in Markdown."""
    ba = {name: {n: f"{balanced_accuracy(j.said, j.y):.3f}" for n, j in of.items()} for name, of in results.items()}
    area = {name: {n: f"{auroc(j.score, j.y):.3f}" for n, j in of.items()} for name, of in results.items()}
    lines = [
        "# The verifiers: their error rates",
        "",
        f"Made by `{command}`. Balanced accuracy of the label as it is shipped: screening, rules, probability and one "
        "threshold for all sets. Ten folds by document: pairs that share a claim or an evidence are held out together "
        "(WiCE has 1,043 pairs of 349 claims), and the threshold is chosen on the other folds. Coverage is a logistic "
        "regression on the share of the claim's terms, under the same screening and rules.",
        "",
        "| set | pairs | supported | coverage | rules | trained | AUROC coverage | rules | trained | CPU ms per claim |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for n, j in results["trained"].items():
        lines.append(
            f"| {n} | {len(j.y):,} | {j.y.mean():.0%} | {ba['coverage'][n]} | {ba['rules'][n]} | **{ba['trained'][n]}** "
            f"| {area['coverage'][n]} | {area['rules'][n]} | {area['trained'][n]} | {j.ms:.0f} |"
        )
    lines += [
        "",
        "CPU ms: processor time on one core, the evidence read anew for each claim; sentences of one answer share a reading.",
        "",
        "## Where it generalises",
        "",
        "Another generator of BEGIN, or a whole data set, held out of the fit. The threshold is chosen on held-out "
        "probabilities of the other documents.",
        "",
        "| set | trained, unseen generator | coverage, unseen set | rules, unseen set | trained, unseen set |",
        "|---|---|---|---|---|",
    ]
    for n in results["trained"]:
        generator = ba["unseen generator"][n] if n in CONVERSATION else "–"
        rest = " | ".join(ba[f"{v}, unseen set"][n] for v in ("coverage", "rules", "trained"))
        lines.append(f"| {n} | {generator} | {rest} |")
    lines += [
        "",
        "## What the mistakes are, and what a probability means",
        "",
        f"Shipped threshold {threshold:.3f}. ECE over ten bins of held-out probabilities before the rules cap them, where the "
        "model is asked: with supported and unsupported weighing the same, as it was calibrated, and as they are in the "
        "set. Two numbers of calibration were fitted on these probabilities.",
        "",
        "| set | unsupported, called supported | supported, not called so | ECE, balanced | ECE, as in the set |",
        "|---|---|---|---|---|",
    ]
    for n, j in results["trained"].items():
        rates, c = _rates([j]), calibration[n]
        lines.append(
            f"| {n} | {rates['wrongly_supported']:.1%} | {rates['wrongly_doubted']:.1%} "
            f"| {balanced_ece(c.score, c.y):.3f} | {ece(c.score, c.y):.3f} |"
        )
    if caught:
        lines += [
            "",
            f"## Claims changed by rule ({n_made:,})",
            "",
            "These were trained on with a twentieth of a set's weight, so that this table is not held out. It shows what the "
            "verifier does not see: one thing changed in a sentence that otherwise stands there.",
            "",
            "| kind | claims | truly supported | called supported |",
            "|---|---|---|---|",
            *(f"| {k} | {n} | {'yes' if y else 'no'} | {share:.0%} |" for k, (n, share, y) in caught.items()),
        ]
    return "\n".join([*lines, ""])


def balanced_ece(p: Array, y: Flags, bins: int = 10) -> float:
    """Expected calibration error where both labels weigh the same."""
    w = np.where(y, 0.5 / max(y.sum(), 1), 0.5 / max((~y).sum(), 1))
    at = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for k in range(bins):
        inside = at == k
        if inside.any():
            total += abs(float((w * (p - y))[inside].sum()))
    return total


def model_card_of(report: str, command: str) -> str:
    """README.md beside the weights."""
    return "\n".join(
        [
            "# openbook verifier",
            "",
            "Says with what probability a text supports a sentence: a logistic regression over numbers from the rules of "
            "agents/verify and from token alignments by all-MiniLM-L6-v2, and their products in pairs. 4 kB.",
            "",
            "## Made by",
            "",
            f"    {command}",
            "",
            "## Data",
            "",
            "WiCE dev (annotations ODC-By, text CC BY-SA), BEGIN wow and cmu dev (CC BY 4.0) and tc dev (CDLA-Sharing 1.0); with "
            "a twentieth of a set's weight, claims made by rule from clapnq train (Apache-2.0), xquad train (CC BY-SA 4.0) and the "
            "text collection (CC BY 4.0, public domain, MIT, CC0, CC BY-SA, Apache).",
            "",
            "## What it does not do",
            "",
            "- It infers little: what follows only by reasoning looks unsupported to it.",
            "- Of one word changed, or two that change places, in a sentence that otherwise stands in the text, it sees what the "
            "last table says.",
            "- It was judged on English. Other languages are as good as the encoder's vocabulary lets them be.",
            "- Its probability holds where half of the sentences are supported.",
            "",
            report.replace("# The verifiers: their error rates", "## Error rates").replace("\n## ", "\n### ", 10),
        ]
    )
