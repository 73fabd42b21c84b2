"""Exact match, F1 and containment of short answers, by the normalisation of the official SQuAD script.

Rajpurkar et al. 2016 and 2018 (evaluate-v2.0.py): lower case, ASCII punctuation removed, the articles a, an, the
removed as words, white space collapsed, in this order. The normalisation knows English only; for a script without
spaces, F1 compares whole sentences as one token and says little, while ``contains`` still works.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Scripts written without spaces: a word's edge can't be seen, so every character is taken as one.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def normalize(text: str) -> str:
    """The official normalisation: "The U.S.A.!" becomes "usa"."""
    text = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, gold: str) -> float:
    """1 if both are the same after normalisation, else 0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str) -> float:
    """2PR / (P + R) over the *multisets* of normalised words.

    Gold "new york", prediction "new york new york": 2 common words, P = 2/4, R = 2/2, F1 = 0.667.
    If either side has no word left, 1 if both have none, else 0 (as in the script of SQuAD 2.0).
    """
    predicted, expected = normalize(prediction).split(), normalize(gold).split()
    if not predicted or not expected:
        return float(predicted == expected)
    common = (Counter(predicted) & Counter(expected)).total()
    if common == 0:
        return 0.0
    p, r = common / len(predicted), common / len(expected)
    return 2 * p * r / (p + r)


def contains(prediction: str, gold: str) -> float:
    """1 if the gold answer stands in the prediction as whole words, else 0. Not part of SQuAD.

    Both sides are normalised as SQuAD does ("U.S." holds "US"), and, as a second chance, with punctuation of any
    script turned into spaces ("Six-time winner" holds "six"). "sixteen" does not hold "six", nor "2019" "19". A gold
    answer in a script without spaces may stand anywhere. A gold answer without any word is held only by a
    prediction without any.
    """
    return float(forms_contain(word_forms(prediction), word_forms(gold)))


def word_forms(text: str) -> tuple[str, str]:
    """The two forms that ``contains`` compares, for texts that are compared with many others."""
    return _words(normalize(text)), _words(_spaced(text))


def forms_contain(prediction: tuple[str, str], gold: tuple[str, str]) -> bool:
    """``contains`` of texts whose ``word_forms`` are known."""
    if any(g and f" {g} " in f" {p} " for p, g in zip(prediction, gold, strict=True)):
        return True
    return not any(gold) and not prediction[1]


def best_over_golds(score: Callable[[str, str], float], prediction: str, golds: Sequence[str]) -> float:
    """The largest score over the accepted answers, as the official script takes it; 0 without any."""
    return max((score(prediction, gold) for gold in golds), default=0.0)


def _words(text: str) -> str:
    """Each character of an unspaced script becomes a word, so that "308" is found in "丢了308分"."""
    return " ".join(UNSPACED.sub(r" \g<0> ", text).split())


def _spaced(text: str) -> str:
    """Lower case, compatibility forms folded, punctuation to spaces except inside a number, no articles."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\d)[.,'’](?=\d)", "", text)
    text = "".join(" " if unicodedata.category(c)[0] in "PS" else c for c in text)
    return " ".join(_ARTICLES.sub(" ", text).split())
