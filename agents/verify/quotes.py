"""Words that the claim puts between quotation marks must stand in the evidence, in that order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agents.lexical import KEPT_TEXTS, sentence_terms
from agents.verify.findings import Finding
from agents.verify.framed import taken_back
from core.text import Span, fold, word_spans, words

_QUOTED = re.compile(r'"([^"]{3,400})"|“([^”]{3,400})”|«([^»]{3,400})»|„([^“”]{3,400})[“”]|「([^」]{2,400})」')
_LEFT_OUT = re.compile(r"\[[^\]]{0,40}\]|…|\.\.\.")
# They are no words, and change what is said: "€5" is not "5%", nor "p < 0.05" the same as "p > 0.05".
_SIGNS = re.compile(r"[$€£¥₹%‰<>≤≥≠±]|(?<![\w.)%])[-−–](?=[$€£¥₹]?\d)")
_MIN_WORDS = 3  # fewer are a title or a term, not a quotation


def check_quotes(claim: str, evidence: str) -> Iterator[Finding]:
    """One finding per quotation of at least three words."""
    said = _joined(evidence)
    for m in _QUOTED.finditer(claim):
        quoted = next(g for g in m.groups() if g is not None)
        if len(words(quoted)) < _MIN_WORDS or _is_title(quoted):
            continue
        if all(_joined(part) in said for part in _LEFT_OUT.split(quoted) if part.strip(" ,;")):
            yield Finding(rule="quote", outcome="match", item=quoted, detail="the quotation is in the passage")
        else:
            yield Finding(rule="quote", outcome="missing", item=quoted, detail=f"“{quoted}” is not in the passage")


def _is_title(quoted: str) -> bool:
    """Whether most of its longer words are capitalised: the name of a work, which is for the rule of names."""
    longer = [w for w in quoted.split() if len(w) > 3]
    return bool(longer) and sum(w.lstrip("'(‘")[:1].isupper() for w in longer) > len(longer) / 2


def is_quotation(claim: str, evidence: str) -> bool:
    """Whether the whole claim stands in the evidence, marks and case apart, and cut at words.

    Signs that say something count as words. A clause does not stand there if its sentence takes it back.
    """
    said, _ = _signed(claim)
    everything, _ = _signed(evidence)
    if len(said) <= 2 or said not in everything:
        return False
    within = [evidence[a:b] for (a, b), _ in sentence_terms(evidence)]
    standing = [s for s in within if said in _signed(s)[0]]
    # Of several sentences each begins and ends one, but for the edges.
    return not standing or not all(_taken_back(said, sentence) for sentence in standing)


def _taken_back(said: str, sentence: str) -> bool:
    everything, places = _signed(sentence)
    at = everything.index(said)
    first = everything[:at].count(" ")
    last = first + said.count(" ") - 2
    return bool(taken_back(sentence[: places[first][0]], sentence[places[last][1] :]))


@lru_cache(maxsize=4 * KEPT_TEXTS)  # sentences and claims too
def _signed(text: str) -> tuple[str, tuple[Span, ...]]:
    """The words and signs of ``text``, folded, with a space before and behind each; and where they stand."""
    places = sorted([*word_spans(text), *(m.span() for m in _SIGNS.finditer(text))])
    # A ligature may fold to several words: it stays one, so that words can be counted by spaces.
    return f" {' '.join(fold(text[a:b]).replace(' ', '') for a, b in places)} ", tuple(places)


@lru_cache(maxsize=2 * KEPT_TEXTS)  # claims too
def _joined(text: str) -> str:
    return f" {' '.join(words(text))} "
