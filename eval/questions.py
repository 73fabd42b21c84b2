"""Questions made from documents by rule, without a language model: each tied to the span that answers it.

    cloze         a sentence with its number or name left out; the answer is what was left out
    heading       what a document says under one of its headings; the answer is the passage there
    unanswerable  a cloze whose subject was swapped for a name that its document never speaks of

A cloze repeats words of its passage, so it is kind to whoever matches words: see docs/decisions/0170. Knows nothing of
retrieval: whether a question can be found is for the caller to try.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from core.text import fold, sentence_spans, words

QuestionKind = Literal[
    "cloze", "heading", "unanswerable", "written", "uploaded", "multi-hop", "comparison", "liked", "disliked"
]
Split = Literal["dev", "test"]
Worth = Literal["yes", "later", "no"]

BLANK = "____"
SIMILAR = 0.8  # Jaccard of two questions' words from which they are the same question
# What every question says, which makes no two of them alike.
_FRAME = frozenset(
    words(
        "Which number name completes What does say about X is the in larger smaller later earlier amount percentage year one "
        "missing or"
    )
)
_TRIES = 20  # candidates over several passages that are tried for each that is wanted
_PER_DOCUMENT = 400  # candidates of one document, so that a long one does not take all the time
_APART = (500, 1500)  # characters from which two sentences of a document may be, and are likely, in two passages
_READ_FOR_NAMES = 200_000  # characters of a document
_STRANGERS = 20  # names tried in place of one
_NEAR = 250  # characters on either side
_WORDS = (8, 40)  # of a sentence that becomes a cloze
_SHOWN_WORDS = 14  # of it that the question repeats, around the blank
_HEADING_WORDS = (2, 12)
_UNITS = r"(?:\s?%|\s(?:percent|million|billion|thousand|metres|meters|miles|km|kg|years|days|hours|people|employees))"
# Not the number of a footnote, [7].
NUMBER = re.compile(rf"(?<![\w.,$€£^\[-])[$€£]?\d(?:[\d,]*\d)?(?:\.\d+)?{_UNITS}?(?![\w.,]*\d)(?![\w\]^-])")
NAME_REST = r"[\w'’&-]+(?: (?:of |and |the )?[A-Z][\w'’&-]+){0,4}"  # of a name, behind its first capital
_NAME = re.compile(rf"(?<=[\w,;] )[A-Z]{NAME_REST}")
_NUMERAL = re.compile(r"[IVX]+\b")
# A date is no name: swapped, it makes a sentence that nobody would ask.
_DATES = frozenset(
    words(
        "January February March April May June July August September October November December Monday Tuesday Wednesday "
        "Thursday Friday Saturday Sunday"
    )
)
_BAD = re.compile(r"[|\t_]{2}|\.{4}|[☐☒]")
_REST_OF_WORD = re.compile(r"[\w'’%]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A passage and the headings that it stands under, outermost first; half-open offsets into its document's text."""

    start: int
    end: int
    heading_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    doc_id: str
    title: str
    text: str
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """Where an answer stands. ``end`` 0 is the whole document. ``sha256`` is of the document that it was read in."""

    doc_id: str
    title: str
    start: int = 0
    end: int = 0
    sha256: str = ""

    @property
    def whole(self) -> bool:
        return self.end == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeQuestion:
    """``gold`` of an unanswerable one is the span that it was made from, which does not answer it any more.

    ``hops``: of a question over several passages, what one would search for to find each of ``gold``, once those before it
    are found.
    """

    question: str
    answers: tuple[str, ...]
    answerable: bool
    kind: QuestionKind
    gold: tuple[Gold, ...]
    split: Split
    hops: tuple[str, ...] = ()
    shortcut: str = ""  # of one over several passages: what one would search for the last who never saw the others


def in_two_passages(document: SourceDocument, starts: tuple[int, int]) -> bool:
    """Whether no passage of the document has both sentences that start here; where none is known, whether they lie far apart."""
    near, far = sorted(starts)
    if far - near < _APART[0]:
        return False
    if not document.sections:
        return far - near >= _APART[1]
    return not any(section.start <= near and far < section.end for section in document.sections)


def split_of(doc_ids: Sequence[str], seed: int) -> dict[str, Split]:
    """Half of the documents for development, half for test, so that no document is in both; a single one is test."""
    shuffled = sorted(doc_ids)
    random.Random(f"split {seed}").shuffle(shuffled)
    return {doc_id: "dev" if i % 2 else "test" for i, doc_id in enumerate(shuffled)}


def make_questions(
    documents: Sequence[SourceDocument],
    n: int,
    *,
    seed: int = 0,
    unanswerable: float = 0.1,
    written: Iterable[MadeQuestion] = (),
    joined: Iterable[MadeQuestion] = (),
    multi_hop: float = 0.1,
    keep: Callable[[MadeQuestion], Worth] = lambda question: "yes",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[MadeQuestion]:
    """Up to ``n`` questions, spread evenly over the documents; the same for the same documents and seed.

    Args:
        unanswerable: share of them that no document answers.
        written: candidates that a language model wrote; all that are worth asking are taken.
        joined: candidates over several passages, as of ``eval.multi_hop``.
        multi_hop: share of them that are of ``joined``, as far as there are any.
        keep: tried on each candidate in turn: whether it is worth asking; "later" if only for want of better ones.
        progress: told (questions kept, n).
    """
    splits = split_of([d.doc_id for d in documents], seed)
    n_unanswerable = round(n * unanswerable)
    per_document = [list(_candidates(d, splits[d.doc_id], seed)) for d in documents]
    candidates = [q for row in zip_longest(*per_document) for q in row if q is not None]
    kept: list[MadeQuestion] = []
    asked: dict[bool, list[frozenset[str]]] = {True: [], False: []}  # a swapped one may be like what it was made of
    later: list[MadeQuestion] = []

    def take(question: MadeQuestion, worth: Callable[[MadeQuestion], Worth] = keep) -> None:
        said = frozenset(words(question.question)) - _FRAME
        if any(jaccard(said, other) >= SIMILAR for other in asked[question.answerable]):
            return
        judged = worth(question)
        if judged == "later":
            later.append(question)
        if judged != "yes":
            return
        asked[question.answerable].append(said)
        kept.append(question)
        progress(len(kept), n)

    for candidate in written:
        take(candidate)
    n_joined = len(kept) + round(n * multi_hop)
    for tried, candidate in enumerate(joined):
        if len(kept) >= n_joined or tried >= _TRIES * n_joined:
            break
        take(candidate)
    n_good = sum(bool(q.hops) for q in kept)
    n_joined = min(n_joined, len(kept) + max(1, n_good))  # no more of the worse than there are of the better
    for candidate in (q for q in later if q.hops):
        if len(kept) >= n_joined:
            break
        take(candidate, lambda question: "yes")
    later = [q for q in later if not q.hops]
    used = 0
    for used, candidate in enumerate(candidates, start=1):  # noqa: B007
        if len(kept) >= n - n_unanswerable:
            break
        take(candidate)
    for candidate in later:
        if len(kept) >= n - n_unanswerable:
            break
        take(candidate, lambda question: "yes")
    # Of those that were not taken first, so that the same sentence is not asked twice.
    clozes = [q for q in (*candidates[used:], *candidates[:used]) if q.kind == "cloze"]
    most = len(kept) + n_unanswerable
    for cloze in clozes:
        if len(kept) >= most:
            break
        if (swapped := _swapped(cloze, documents, seed)) is not None:
            take(swapped)
    return kept


def _candidates(document: SourceDocument, split: Split, seed: int) -> list[MadeQuestion]:
    """In a random order, one heading question to two clozes while there are both."""
    chance = random.Random(f"{document.doc_id} {seed}")
    headings = _heading_questions(document, split)
    chance.shuffle(headings)
    spans = sentence_spans(document.text)
    chance.shuffle(spans)
    clozes: list[MadeQuestion] = []
    for start, end in spans:
        if len(clozes) >= _PER_DOCUMENT:
            break
        if (question := _cloze(document, start, end, split, chance)) is not None:
            clozes.append(question)
    mixed: list[MadeQuestion] = []
    while clozes or headings:
        mixed += [source.pop() for source in (clozes, headings, clozes) if source]
    return mixed


def _cloze(document: SourceDocument, start: int, end: int, split: Split, chance: random.Random) -> MadeQuestion | None:
    sentence = document.text[start:end]
    if not is_plain(sentence):
        return None
    found = list(NUMBER.finditer(sentence)) or names_in(sentence, document.text)
    if not found:
        return None
    start_blank, end_blank = without_genitive(chance.choice(found))
    answer = sentence[start_blank:end_blank].strip()
    if fold(answer) in fold(sentence[:start_blank] + " " + sentence[end_blank:]):
        return None  # it would give itself away
    before = " ".join(sentence[:start_blank].split())
    after = sentence[end_blank:]
    genitive = re.match(r"['’]s\b", after)
    after = " ".join(after[genitive.end() if genitive else 0 :].split())
    room = max(_SHOWN_WORDS - len(after.split()), _SHOWN_WORDS // 2)
    shown_before = before.split()[-room:]
    shown_after = after.split()[: max(0, _SHOWN_WORDS - len(shown_before))]
    shown_blank = f"{BLANK}’s" if genitive else BLANK
    shown = closed_up(" ".join((*shown_before, shown_blank, *shown_after))).rstrip(" .,;")
    if len(shown_before) + len(shown_after) < 6:
        return None
    return MadeQuestion(
        question=f"Which {asked_for(answer)} completes: {shown}?",
        answers=(answer,),
        answerable=True,
        kind="cloze",
        gold=(Gold(doc_id=document.doc_id, title=document.title, start=start, end=end),),
        split=split,
    )


def without_genitive(found: re.Match[str]) -> tuple[int, int]:
    """Where a name or number stands, without the ’s behind it."""
    said = found.group().removesuffix("'s").removesuffix("’s")
    return found.start(), found.start() + len(said)


def closed_up(text: str) -> str:
    """``text``, put together of words, with no space before a mark that follows a word or behind a bracket that opens."""
    return re.sub(r"([(\[“]) +", r"\1", re.sub(r" +(?=[,;:.!?%)\]”])", "", text))


def around(sentence: str, replaced: dict[tuple[int, int], str], most: int) -> str | None:
    """At most ``most`` words of the sentence around what is replaced in it; None where that lies further apart."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for (start, end), by in sorted(replaced.items()):
        pieces += [(word, False) for word in sentence[at:start].split()]
        rest = _REST_OF_WORD.match(sentence, end)
        glued = rest.group() if rest else ""
        pieces.append((by + glued if by and glued in ("'s", "’s") else by, True))
        at = end + len(glued)
    pieces += [(word, False) for word in sentence[at:].split()]
    marked = [i for i, (_, mark) in enumerate(pieces) if mark]
    spare = most - (marked[-1] - marked[0] + 1 - len(marked))
    if spare < 0:
        return None
    before = min(marked[0], max(spare // 2, spare - (len(pieces) - 1 - marked[-1])))
    after = spare - before
    shown = pieces[marked[0] - before : marked[-1] + 1 + after]
    cut = ("… " if marked[0] > before else "", " …" if marked[-1] + 1 + after < len(pieces) else "")
    return cut[0] + closed_up(" ".join(word for word, _ in shown)).strip(" .,;:") + cut[1]


def is_plain(sentence: str) -> bool:
    """Whether it is a whole sentence of running text, of which something can be asked."""
    if not _WORDS[0] <= len(sentence.split()) <= _WORDS[1] or _BAD.search(sentence) or not sentence[0].isupper():
        return False
    return sentence.rstrip()[-1] in ".!?”\"'"


def asked_for(answer: str) -> Literal["number", "name"]:
    """What a question calls what it asks for."""
    return "number" if answer[-1:].isdigit() or answer[0] in "$€£0123456789" else "name"


def _heading_questions(document: SourceDocument, split: Split) -> list[MadeQuestion]:
    whole: dict[tuple[str, ...], Section] = {}
    for section in document.sections:  # all that stands under one heading, however it was cut
        first = whole.get(section.heading_path, section)
        whole[section.heading_path] = Section(
            start=min(first.start, section.start),
            end=max(first.end, section.end),
            heading_path=section.heading_path,
        )
    found: list[MadeQuestion] = []
    for path, section in whole.items():
        if not path:
            continue
        heading = " ".join(path[-1].split()).strip("#*_ .:")
        n_words = len(heading.split())
        if not _HEADING_WORDS[0] <= n_words <= _HEADING_WORDS[1] or _BAD.search(heading):
            continue
        if fold(heading) == fold(document.title) or section.end - section.start < 80:
            continue
        question = f"What does {document.title} say about {heading}?"
        gold = Gold(doc_id=document.doc_id, title=document.title, start=section.start, end=section.end)
        found.append(
            MadeQuestion(question=question, answers=(), answerable=True, kind="heading", gold=(gold,), split=split)
        )
    return found


def _swapped(cloze: MadeQuestion, documents: Sequence[SourceDocument], seed: int) -> MadeQuestion | None:
    """The same cloze of another subject, one that no document puts beside the rest of it; None if there is none."""
    chance = random.Random(f"{cloze.question} {seed}")
    own = next(d for d in documents if d.doc_id == cloze.gold[0].doc_id)
    names = names_in(cloze.question, own.text)
    others = [d for d in documents if d is not own]
    if not names or not others:
        return None
    name = chance.choice(names)
    other = chance.choice(others)
    strangers = sorted({m.group() for m in _NAME.finditer(other.text[:_READ_FOR_NAMES])})
    chance.shuffle(strangers)
    text = fold(own.text)
    alike = [s for s in strangers if len(s.split()) == len(name.group().split())][:_STRANGERS]
    for stranger in alike:
        if not _is_name(stranger, other.text) or fold(stranger) in text:
            continue
        rest = frozenset(words(cloze.question[: name.start()] + cloze.question[name.end() :])) - _FRAME
        if not any(_says(d.text, stranger, rest) for d in others):
            question = cloze.question[: name.start()] + stranger + cloze.question[name.end() :]
            return MadeQuestion(
                question=question,
                answers=(),
                answerable=False,
                kind="unanswerable",
                gold=cloze.gold,
                split=cloze.split,
            )
    return None


def names_in(text: str, whole: str) -> list[re.Match[str]]:
    """What ``text``, a part of ``whole``, writes with capitals and ``whole`` never without."""
    return [m for m in _NAME.finditer(text) if _is_name(m.group(), whole)]


def _is_name(found: str, whole: str) -> bool:
    """Whether it is more than a word with a capital: ``whole`` never has it without one."""
    if _NUMERAL.match(found):  # of a king whose name stands before it
        return False
    return len(found) > 3 and not _DATES & frozenset(words(found)) and found.lower() not in whole


def _says(text: str, name: str, rest: frozenset[str]) -> bool:
    """Whether some place of ``text`` near ``name`` has half of the words of ``rest``, and so may answer."""
    at = text.find(name)
    while at >= 0:
        near = frozenset(words(text[max(0, at - _NEAR) : at + len(name) + _NEAR]))
        if len(near & rest) >= 0.5 * len(rest):
            return True
        at = text.find(name, at + _NEAR)
    return False


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a ∩ b| / |a ∪ b|"""
    return len(a & b) / len(a | b) if a or b else 0.0
