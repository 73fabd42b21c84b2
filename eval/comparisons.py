"""Questions that compare what two passages say: two amounts, shares or years of one kind, each left out of its own sentence.

    Which is the larger amount: the one missing in Acme 2022 Q3, "deferred revenue of ____ at the end of the quarter", or the
    one missing in Acme 2023 Q3, "deferred revenue came to ____ at the end of the quarter"?

Who finds one of the two passages knows one number, and cannot tell. Both sentences speak of the same in some of their words, so that
there is a point in comparing. Knows nothing of retrieval, like ``eval.multi_hop``.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from core.text import fold, sentence_spans, words
from eval.multi_hop import NO_PROSE
from eval.questions import BLANK, Gold, MadeQuestion, SourceDocument, Split, around, in_two_passages, is_plain, jaccard

_PER_DOCUMENT = 200  # numbers of one document that are looked at
_PER_WORD = 40  # numbers that are looked at for one word that two sentences may share
_IN_COMMON = 3  # words that both must show, beside the commonest of all
_ALIKE = 0.7  # Jaccard of their sentences from which two say the same, and with it the same number
_SHOWN_WORDS = 12
_LEAST_WORDS = 6
_COMMON_SHARE = 0.05  # of all numbers: a word that stands beside more of them says nothing of what is counted
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}
_AMOUNT = r"\d[\d,]*(?:\.\d+)?"
_KINDS = {
    "amount": re.compile(
        rf"(?<![\w.,])(?P<coin>[$€£])\s?(?P<value>{_AMOUNT})(?: (?P<scale>thousand|million|billion))?(?![\w%^]|[.,]\d)"
    ),
    "percentage": re.compile(rf"(?<![\w.,$€£–-])(?P<value>{_AMOUNT})(?:\s?%|\spercent\b)(?! points?)"),
    "year": re.compile(r"(?<=\b[Ii]n )(?P<value>1[0-9]\d\d|20[0-2]\d)(?![\w%-]|[.,]\d)"),
}
_ASKED = {"amount": ("larger", "smaller"), "percentage": ("larger", "smaller"), "year": ("later", "earlier")}


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of its kind that stands alone in a sentence; ``kind`` tells coins apart, ``document`` counts them."""

    document: int
    start: int
    sentence: str
    shown: str
    answer: str
    kind: tuple[str, str]
    value: float
    beside: frozenset[str]  # the words that are shown with it


def comparison_questions(
    documents: Sequence[SourceDocument], splits: dict[str, Split], seed: int
) -> Iterator[MadeQuestion]:
    """Candidates in a random order, in turn of the documents; each sentence is used once. Both documents are in one half."""
    chance = random.Random(f"comparisons {seed}")
    per_document = [_numbers(n, document, chance) for n, document in enumerate(documents)]
    everything = list(chain.from_iterable(per_document))
    said = Counter(word for number in everything for word in number.beside)
    most = max(3.0, _COMMON_SHARE * len(everything))
    telling = {word for word, n in said.items() if 2 <= n <= most}
    by_word: dict[tuple[str, tuple[str, str]], list[_Number]] = {}
    for number in everything:
        for word in number.beside & telling:
            by_word.setdefault((word, number.kind), []).append(number)
    used: set[tuple[int, int]] = set()
    for number in (n for row in zip_longest(*per_document) for n in row if n is not None):
        if (number.document, number.start) in used:
            continue
        other = _partner(number, by_word, telling, documents, splits, used, chance)
        if other is None:
            continue
        used |= {(n.document, n.start) for n in (number, other)}
        yield _compared(number, other, documents, splits, chance)


def _numbers(n: int, document: SourceDocument, chance: random.Random) -> list[_Number]:
    found: list[_Number] = []
    spans = sentence_spans(document.text)
    chance.shuffle(spans)
    for start, end in spans:
        if len(found) >= _PER_DOCUMENT:
            break
        sentence = document.text[start:end]
        if is_plain(sentence) and not NO_PROSE.search(sentence):
            found += _of_sentence(n, start, sentence)
    return found


def _of_sentence(document: int, start: int, sentence: str) -> Iterator[_Number]:
    """Of each kind the one number, where there is one: of two the reader could not tell which is meant."""
    for name, pattern in _KINDS.items():
        matches = list(pattern.finditer(sentence))
        if len(matches) != 1:
            continue
        match = matches[0]
        shown = around(sentence, {match.span(): BLANK}, _SHOWN_WORDS)
        if shown is None or len(shown.split()) <= _LEAST_WORDS:
            continue
        groups = match.groupdict()
        value = float(groups["value"].replace(",", "")) * _SCALES.get(groups.get("scale") or "", 1.0)
        yield _Number(
            document=document,
            start=start,
            sentence=sentence,
            shown=shown,
            answer=match.group().strip(),
            kind=(name, groups.get("coin") or ""),
            value=value,
            beside=frozenset(w for w in words(shown) if len(w) > 3),
        )


def _partner(
    number: _Number,
    by_word: dict[tuple[str, tuple[str, str]], list[_Number]],
    telling: set[str],
    documents: Sequence[SourceDocument],
    splits: dict[str, Split],
    used: set[tuple[int, int]],
    chance: random.Random,
) -> _Number | None:
    """The number that is said in the most of the same words, and can be compared with this one."""
    best: tuple[int, float, _Number] | None = None
    for word in sorted(number.beside & telling):
        others = by_word.get((word, number.kind), [])
        for other in others if len(others) <= _PER_WORD else chance.sample(others, _PER_WORD):
            common = len(number.beside & other.beside & telling)
            ids = [documents[n.document].doc_id for n in (number, other)]
            if common < _IN_COMMON or (other.document, other.start) in used or splits[ids[0]] != splits[ids[1]]:
                continue
            if _differ(number, other, documents[number.document]) and (
                best is None or (common, other.value) > best[:2]
            ):
                best = (common, other.value, other)
    return best[2] if best else None


def _differ(a: _Number, b: _Number, document: SourceDocument) -> bool:
    """Whether they stand in two passages, say two things, and neither gives the other's number away."""
    if a.value == b.value or (a.document == b.document and not in_two_passages(document, (a.start, b.start))):
        return False
    if jaccard(frozenset(words(a.sentence)), frozenset(words(b.sentence))) >= _ALIKE and a.document == b.document:
        return False
    return not any(fold(x.answer) in fold(y.sentence) for x, y in ((a, b), (b, a)))


def _compared(
    a: _Number, b: _Number, documents: Sequence[SourceDocument], splits: dict[str, Split], chance: random.Random
) -> MadeQuestion:
    more, less = _ASKED[a.kind[0]]
    first, second = (a, b) if chance.random() < 0.5 else (b, a)
    asked = chance.choice((more, less))
    right = max(a, b, key=lambda n: n.value) if asked == more else min(a, b, key=lambda n: n.value)
    titles = [documents[n.document].title for n in (first, second)]
    named = [f"in {title}, " if titles[0] != titles[1] else "in " for title in titles]
    halves = [f"{where}“{n.shown}”" for where, n in zip(named, (first, second), strict=True)]
    return MadeQuestion(
        question=f"Which is the {asked} {a.kind[0]}: the one missing {halves[0]}, or the one missing {halves[1]}?",
        answers=(right.answer,),
        answerable=True,
        kind="comparison",
        gold=tuple(
            Gold(
                doc_id=documents[n.document].doc_id,
                title=documents[n.document].title,
                start=n.start,
                end=n.start + len(n.sentence),
            )
            for n in (first, second)
        ),
        split=splits[documents[a.document].doc_id],
        hops=tuple(n.shown for n in (first, second)),
    )
