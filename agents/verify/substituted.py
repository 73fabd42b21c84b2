"""A claim that is a sentence of the evidence but for a word in it: what stands where that word stood.

Only claims that run along the sentence for most of their words are looked at. A name in the place of another is a conflict;
another word in the place of a word is only noted, because it may be a synonym. Numbers and dates have rules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from agents.lexical import STOP_WORDS, stem
from agents.verify.findings import Finding
from core.text import fold, word_spans

_ALONG = 0.7  # share of the claim's words that stand in the sentence, in its order
_LONGEST = 4  # words in the place of at most so many
_MOST_WORDS = 120  # of either; longer ones are not sentences


def check_substituted(claim: str, likely: str) -> Iterator[Finding]:
    """Findings of rule "name" (conflict) and "word" (missing)."""
    mine, theirs = _words(claim), _words(likely)
    if not mine or not theirs or max(len(mine), len(theirs)) > _MOST_WORDS:
        return
    a, b = [stem(fold(w)) for w in theirs], [stem(fold(w)) for w in mine]
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if sum(block.size for block in matcher.get_matching_blocks()) < _ALONG * len(b):
        return
    for op, i, j, k, n in matcher.get_opcodes():
        if op != "replace" or max(j - i, n - k) > _LONGEST:
            continue
        old, new = theirs[i:j], mine[k:n]
        known, said = _content(old), _content(new)
        if not known or not said or known & said or any(c.isdigit() for w in (*old, *new) for c in w):
            continue
        was, now = " ".join(old), " ".join(new)
        named = _is_name(old, first=i == 0) and _is_name(new, first=k == 0) and not said & set(a)
        yield Finding(
            rule="name" if named else "word",
            outcome="conflict" if named else "missing",
            item=now,
            detail=f"the claim has “{now}” where the passage has “{was}”",
        )


def _words(text: str) -> list[str]:
    return [text[a:b] for a, b in word_spans(text)]


def _content(said: list[str]) -> set[str]:
    return {stem(fold(w)) for w in said if fold(w) not in STOP_WORDS}


def _is_name(said: list[str], *, first: bool) -> bool:
    return not first and any(w[:1].isupper() for w in said)
