"""Words that the claim puts between quotation marks must stand in the evidence, in that order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agents.lexical import KEPT_TEXTS
from agents.verify.findings import Finding
from core.text import words

_QUOTED = re.compile(r'"([^"]{3,400})"|“([^”]{3,400})”|«([^»]{3,400})»|„([^“”]{3,400})[“”]|「([^」]{2,400})」')
_LEFT_OUT = re.compile(r"\[[^\]]{0,40}\]|…|\.\.\.")
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
    """Whether the whole claim stands in the evidence, marks and case apart, and cut at words."""
    said = _joined(claim)
    return len(said) > 2 and said in _joined(evidence)


@lru_cache(maxsize=2 * KEPT_TEXTS)  # claims too
def _joined(text: str) -> str:
    return f" {' '.join(words(text))} "
