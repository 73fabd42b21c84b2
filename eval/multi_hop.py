"""Questions over two passages that share a name, made by rule: the first sentence says whose name it is, the second is asked of.

    X is the name in: the mill that X built burned down in 1871. Which number completes: X was paid ____ crowns a year?

Only one who finds the first passage knows the name, and only the name finds the second. Names are told by their capitals, so
scripts without capitals give no such question. Knows nothing of retrieval: whether each step can be found, and whether the second
can be found without the first (``MadeQuestion.shortcut``), is for the caller to try.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from core.text import fold, sentence_spans, words
from eval.questions import (
    BLANK,
    NAME_REST,
    NUMBER,
    Gold,
    MadeQuestion,
    SourceDocument,
    Split,
    around,
    asked_for,
    in_two_passages,
    is_plain,
    jaccard,
    names_in,
    without_genitive,
)

STAND_IN = "X"
_SHARED = (2, 8)  # sentences that a name stands in: in one it joins nothing, in many it says little
_ALIKE = 0.4  # Jaccard of their words from which two sentences say the same
_FIRST_WORDS = 16  # that the question repeats of the first sentence, around the name
_SECOND_WORDS = 5  # of the second: few, so that it is the name that finds it
_PER_NAME = 3  # questions about one name: the caller may have no use for the first
# Code, markup, and the fields at the head of a file, which are no sentences: "Title: … Author: …".
NO_PROSE = re.compile(r"[\[\]{}<>`|=*\\]|//|\(\)|_\s|\s_|(?:\b[A-Z][\w-]*: .*){2}")
_FIRST_NAME = re.compile(rf"[A-Z]{NAME_REST}")
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_NUMBERED = re.compile(
    r"\b(?:Notes?|Sections?|Items?|Forms?|Exhibits?|Parts?|Rules?|Articles?|Tables?|Figures?|Chapters?|Pages?|No\.) ?\(?$",
    re.IGNORECASE,
)
_DATED = re.compile(rf"\b{_MONTH}(?: \d{{1,2}},?)? $")
_DATE_GOES_ON = re.compile(rf" (?:of )?{_MONTH}\b|, (?:1[5-9]|20)\d\d\b")
_WORD = re.compile(r"[^\W\d_]+")
_LISTING = frozenset(words("also both other others including well such like especially namely"))
_KINDS = re.compile(r"[A-Z]{2,}s")  # PEPs, LLMs: things of a kind, not one of a name
_LEAST_WORDS = (6, 3)  # of each, beside the name and the blank
# What may follow a name that is not the attribute of something else. Verbs that are not here cost a question, no more.
_AFTER_A_NAME = frozenset(
    words(
        "a about after agreed also although an and announced appeared are as asked at became because began between both bought "
        "brought built but by called came can could decided did died does during entered first followed for found founded from "
        "gave had has have held if in into is its joined led left lost made may met might moved must named not of on opened or "
        "owns paid played produced published received said sent served should signed since so sold started still that the then "
        "through to took under until used visited was went were when where which while who whose will with without won worked "
        "would wrote"
    )
)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A sentence, and where in it the name stands; ``document`` counts them."""

    document: int
    start: int
    sentence: str
    name_at: int


def two_hop_questions(
    documents: Sequence[SourceDocument], splits: dict[str, Split], seed: int
) -> Iterator[MadeQuestion]:
    """Candidates in a random order, in turn of each name. Both documents of one are in the same half."""
    chance = random.Random(f"two hops {seed}")
    mentions = _mentions(documents)
    shared = [(name, found) for name, found in mentions.items() if _SHARED[0] <= len(found) <= _SHARED[1]]
    chance.shuffle(shared)
    said: dict[int, set[str]] = {}  # document → names
    for name, found in mentions.items():
        for mention in found:
            said.setdefault(mention.document, set()).add(name)
    used: set[tuple[int, int]] = set()  # sentences that were asked of
    turns = []
    for name, found in shared:
        pairs = [(a, b) for a in found for b in found if _far_apart(a, b, documents) and _one_matter(name, a, b, said)]
        chance.shuffle(pairs)
        turns.append(_of_name(name, pairs, documents, splits, chance, used))
    for row in zip_longest(*(islice(turn, _PER_NAME) for turn in turns)):
        yield from (made for made in row if made is not None)


def _of_name(
    name: str,
    pairs: Sequence[tuple[_Mention, _Mention]],
    documents: Sequence[SourceDocument],
    splits: dict[str, Split],
    chance: random.Random,
    used: set[tuple[int, int]],
) -> Iterator[MadeQuestion]:
    for first, second in pairs:
        ids = [documents[m.document].doc_id for m in (first, second)]
        if splits[ids[0]] != splits[ids[1]] or (second.document, second.start) in used:
            continue
        made = _joined(name, first, second, documents, splits[ids[0]], chance)
        if made is not None:
            used.add((second.document, second.start))
            yield made


def _one_matter(name: str, a: _Mention, b: _Mention, said: dict[int, set[str]]) -> bool:
    """Whether two mentions are likely of one thing: in one document, or in two that have another name in common. Java is an island
    to one and a language to the other."""
    return a.document == b.document or bool((said[a.document] & said[b.document]) - {name})


def _mentions(documents: Sequence[SourceDocument]) -> dict[str, list[_Mention]]:
    found: dict[str, list[_Mention]] = {}
    at_start: list[tuple[str, _Mention]] = []  # where a capital alone is no sign of a name
    for number, document in enumerate(documents):
        for start, end in sentence_spans(document.text):
            sentence = document.text[start:end]
            if not is_plain(sentence) or NO_PROSE.search(sentence):
                continue
            for match in names_in(sentence, document.text):
                if _stands_alone(sentence, match):
                    found.setdefault(_bare(match), []).append(_Mention(number, start, sentence, match.start()))
            first = _FIRST_NAME.match(sentence)
            if first and _stands_alone(sentence, first):
                at_start.append((_bare(first), _Mention(number, start, sentence, 0)))
    for name, mention in at_start:
        if any(other.document == mention.document for other in found.get(name, ())):
            found[name].append(mention)
    return found


def _bare(name: re.Match[str]) -> str:
    return name.group().removesuffix("'s").removesuffix("’s")


def _stands_alone(sentence: str, name: re.Match[str]) -> bool:
    """Whether it names somebody or something by itself: not "the French colony", and of single words not "the Senate"."""
    following = re.match(r"\s*([\w-]+)", sentence[name.end() :])
    if following and following[1][0].isalnum() and following[1] not in _AFTER_A_NAME:
        return False
    if _KINDS.fullmatch(name.group()):
        return False
    single = " " not in name.group()
    return not (single and re.search(r"\b[Tt]he\s+$", sentence[: name.start()]))


def _far_apart(a: _Mention, b: _Mention, documents: Sequence[SourceDocument]) -> bool:
    if a.document == b.document and not in_two_passages(documents[a.document], (a.start, b.start)):
        return False
    return jaccard(frozenset(words(a.sentence)), frozenset(words(b.sentence))) < _ALIKE


def _joined(
    name: str,
    first: _Mention,
    second: _Mention,
    documents: Sequence[SourceDocument],
    split: Split,
    chance: random.Random,
) -> MadeQuestion | None:
    name_in_first = first.name_at, first.name_at + len(name)
    name_in_second = second.name_at, second.name_at + len(name)
    whole = documents[second.document].text
    numbers = [m for m in NUMBER.finditer(second.sentence) if _says_how_much(second.sentence, m)]
    names = [
        m
        for m in names_in(second.sentence, whole)
        if m.group() != _bare(m) or _stands_alone(second.sentence, m)  # or it is a genitive
    ]
    blanks = [
        without_genitive(m)
        for m in numbers or names
        if (m.end() <= name_in_second[0] or m.start() >= name_in_second[1])
        and not _listed(second.sentence, name_in_second, m.span())
    ]
    if not blanks:
        return None
    blank = chance.choice(blanks)
    answer = second.sentence[slice(*blank)].strip()
    said = around(first.sentence, {name_in_first: STAND_IN}, _FIRST_WORDS)
    asked = around(second.sentence, {name_in_second: STAND_IN, blank: BLANK}, _SECOND_WORDS)
    if said is None or asked is None or _n_words(said) < _LEAST_WORDS[0] or _n_words(asked) < _LEAST_WORDS[1]:
        return None
    told = fold(f"{said} {asked}")
    if fold(answer) in told or fold(answer) in fold(first.sentence):
        return None  # it would need one passage at most
    if fold(answer).startswith(fold(name)) or fold(name).startswith(fold(answer)):
        return None  # one of them is made of the other, as Indian of India
    if any(len(part) > 3 and part in words(f"{said} {asked}") for part in words(name)):
        return None  # the name would give itself away
    with_name, unnamed = (
        around(second.sentence, {name_in_second: by, blank: BLANK}, _SECOND_WORDS) or asked for by in (name, "")
    )
    return MadeQuestion(
        question=f"{STAND_IN} is the name in: {said}. Which {asked_for(answer)} completes: {asked}?",
        answers=(answer,),
        answerable=True,
        kind="multi-hop",
        gold=tuple(_gold(documents[m.document], m) for m in (first, second)),
        split=split,
        hops=(said.replace(STAND_IN, BLANK), with_name),
        shortcut=unnamed,
    )


def _says_how_much(sentence: str, number: re.Match[str]) -> bool:
    """Whether it is more than a part of a date, or the number of a note, a form or a section."""
    before, after = sentence[: number.start()], sentence[number.end() :]
    return not (_NUMBERED.search(before) or _DATED.search(before) or _DATE_GOES_ON.match(after))


def _listed(sentence: str, name: tuple[int, int], blank: tuple[int, int]) -> bool:
    """Whether nothing but commas and small words stands between the two: of "Chile, X, ____ and Peru" nobody can say what is missing."""
    (_, end), (start, _) = sorted((name, blank))
    return not any(
        word.islower() and len(word) > 3 and word not in _LISTING for word in _WORD.findall(sentence[end:start])
    )


def _n_words(text: str) -> int:
    return sum(re.sub(r"['’]s\W*$|\W+$", "", word) not in (STAND_IN, BLANK, "") for word in text.split())


def _gold(document: SourceDocument, mention: _Mention) -> Gold:
    end = mention.start + len(mention.sentence)
    return Gold(doc_id=document.doc_id, title=document.title, start=mention.start, end=end)
