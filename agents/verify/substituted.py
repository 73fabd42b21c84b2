"""A claim that is a sentence of the evidence but for a word or two in it: what was exchanged, made stronger, denied or turned.

Only claims that run along the sentence for most of their words are looked at. What is told for sure is a conflict: a name in
the place of another, a word in the place of one that it excludes, "not" put in or left out, who does what to whom turned round. "Must" for "may", or "may" left out, says
more than the passage and is missing there. Another word in the place of a word may be a synonym: it is only noted here, and
``agents.verify.unlike`` asks the encoder. Numbers and dates have rules of their own.

Known limits: English but for what is noted; a passive ("was bitten by") is not turned round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agents.lexical import stem
from agents.verify.exclusive import exclude, other_ordinal
from agents.verify.findings import Finding
from agents.verify.negation import NEGATIONS
from core.lexical import STOP_WORDS
from core.text import Span, fold, word_spans

_ALONG = 0.7  # share of the claim's words that stand in the sentence, in its order
_CLOSELY = 0.8  # … for a word that is put in or left out, or an unlike one, to be told
_ALL = 0.9  # share of the claim's content words that the sentence must have for their order to be compared
_LONGEST = 4  # words in the place of at most so many
_MOST_WORDS = 120  # of either; longer ones are not sentences
_SHORT = 3  # words; a longer piece that was left out is another clause

_WEAK = frozenset(
    """some many most several few often sometimes usually generally typically frequently may might can could should possibly
    probably perhaps likely about around nearly almost approximately roughly optional optionally partly""".split()  # noqa: SIM905
)
_STRONG = frozenset(
    """all every each always must will shall exactly required mandatory never none certainly definitely entirely completely
    fully invariably""".split()  # noqa: SIM905
)
# Left out, they leave a claim that is stronger than the passage.
_HEDGES = frozenset(
    """may might could allegedly reportedly supposedly possibly perhaps probably unlikely rumored rumoured""".split()  # noqa: SIM905
)
_FACES = frozenset("i he she it they we you who this that these those his her its their one yes no well".split())  # noqa: SIM905
_PASSIVE = frozenset("by was were is are be been being".split())  # noqa: SIM905
# Said of both alike, so that it is the same turned round.
_MUTUAL = frozenset(
    stem(w)
    for w in """met meet meets married marry marries wed divorced equals equal borders border bordered adjoins near resembles
    differs versus vs between tied same joined merged plus fought rivals opposite neighbours""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """Words of the claim in the place of others. ``start`` and ``end`` are the claim's."""

    old: str
    new: str
    start: int
    end: int
    names: bool  # both are names


@dataclass(frozen=True, slots=True)
class _Said:
    spans: Sequence[Span]
    words: Sequence[str]  # as written
    stems: Sequence[str]


def check_substituted(claim: str, likely: str) -> Iterator[Finding]:
    """Findings of the rules "name", "direction", "negation" and "role" (conflict), "ordinal", "qualifier" and "word" (missing)."""
    mine, theirs = _said(claim), _said(likely)
    if not mine.words or not theirs.words or max(len(mine.words), len(theirs.words)) > _MOST_WORDS:
        return
    yield from _turned(mine, theirs)
    codes, along = _aligned(mine, theirs)
    if along < _ALONG:
        return
    for one in _substitutions(claim, mine, theirs, codes):
        yield Finding(
            rule="name" if one.names else "word",
            outcome="conflict" if one.names else "missing",
            item=one.new,
            detail=f"the claim has “{one.new}” where the passage has “{one.old}”",
        )
    yield from _excluded(mine, theirs, codes)
    if along >= _CLOSELY:
        yield from _stronger(mine, theirs, codes)
        yield from _denied(mine, theirs, codes)


def substitutions(claim: str, likely: str) -> list[Substitution]:
    """What the rule "word" notes and the rule "name" tells, with their places, of a claim that runs closely along the sentence."""
    mine, theirs = _said(claim), _said(likely)
    if not mine.words or not theirs.words or max(len(mine.words), len(theirs.words)) > _MOST_WORDS:
        return []
    codes, along = _aligned(mine, theirs)
    return list(_substitutions(claim, mine, theirs, codes)) if along >= _CLOSELY else []


_Codes = Sequence[tuple[str, int, int, int, int]]


def _aligned(mine: _Said, theirs: _Said) -> tuple[_Codes, float]:
    """What must be done to the sentence to get the claim, and the share of the claim that stands in it, in its order."""
    matcher = SequenceMatcher(None, theirs.stems, mine.stems, autojunk=False)
    along = sum(block.size for block in matcher.get_matching_blocks()) / len(mine.words)
    return matcher.get_opcodes(), along


def _substitutions(claim: str, mine: _Said, theirs: _Said, codes: _Codes) -> Iterator[Substitution]:
    for op, i, j, k, n in codes:
        if op != "replace" or max(j - i, n - k) > _LONGEST:
            continue
        old, new = theirs.words[i:j], mine.words[k:n]
        known, said = _content(old), _content(new)
        if not known or not said or known & said or any(c.isdigit() for w in (*old, *new) for c in w):
            continue
        names = _is_name(old, first=i == 0) and _is_name(new, first=k == 0) and not said & set(theirs.stems)
        start, end = mine.spans[k][0], mine.spans[n - 1][1]
        yield Substitution(old=" ".join(old), new=claim[start:end], start=start, end=end, names=names)


def _excluded(mine: _Said, theirs: _Said, codes: _Codes) -> Iterator[Finding]:
    """A word in the place of one that it excludes, unless the sentence has it elsewhere, too."""
    for op, i, j, k, n in codes:
        # "not open" is no denial of "now closed".
        before, now = _negations(theirs.words[max(0, i - 2) : j]), _negations(mine.words[max(0, k - 2) : n])
        if op != "replace" or j - i != n - k or before != now:
            continue
        for old, new, said in zip(theirs.words[i:j], mine.words[k:n], mine.stems[k:n], strict=True):
            if said in theirs.stems:
                continue
            detail = f"the claim has “{new}” where the passage has “{old}”"
            if exclude(fold(old), fold(new)):
                yield Finding(rule="direction", outcome="conflict", item=new, detail=detail)
            elif other_ordinal(fold(old), fold(new)):
                yield Finding(rule="ordinal", outcome="missing", item=new, detail=detail)


def _stronger(mine: _Said, theirs: _Said, codes: _Codes) -> Iterator[Finding]:
    """ "must" for "may"; and a hedge that was left out, or replaced by none."""
    has = {fold(w) for w in mine.words}
    given = {fold(w) for w in theirs.words}
    for op, i, j, k, n in codes:
        old, new = [fold(w) for w in theirs.words[i:j]], [fold(w) for w in mine.words[k:n]]
        weak, strong = [w for w in old if w in _WEAK], [w for w in new if w in _STRONG and w not in given]
        if op == "replace" and weak and strong:
            said = f"the claim has “{strong[0]}” where the passage has “{weak[0]}”"
            yield Finding(rule="qualifier", outcome="missing", item=strong[0], detail=said)
        elif op != "equal" and j - i <= _SHORT and not has & _HEDGES and (left := [w for w in old if w in _HEDGES]):
            said = f"the passage says it with “{left[0]}”"
            yield Finding(rule="qualifier", outcome="missing", item=left[0], detail=said)


def _denied(mine: _Said, theirs: _Said, codes: _Codes) -> Iterator[Finding]:
    """A negation that was put in, or left out by itself."""
    for op, i, j, k, n in codes:
        # "Not really, it is …" opens, and denies what somebody said before.
        if op == "equal" or j - i > _SHORT or n - k > _SHORT or (n and fold(mine.words[0]) in ("no", "not") and k == 0):
            continue
        before, now = _negations(theirs.words[i:j]), _negations(mine.words[k:n])
        if before != now:
            who = "claim" if now > before else "passage"
            behind = mine.words[n : n + 2] if now > before else theirs.words[j : j + 2]
            said = f"only the {who} says “not”" + (f" of “{' '.join(behind)}”" if behind else "")
            yield Finding(rule="negation", outcome="conflict", item="not", detail=said)
            return


def _turned(mine: _Said, theirs: _Said) -> Iterator[Finding]:
    """What stood behind the verb stands before it, and the other way round: "man bites dog".

    The verb is any word that both have once. Two content words before it and three behind it are looked at.
    """
    a, b = _contents(theirs), _contents(mine)
    given = {s for s, _ in a}
    if not b or sum(s in given for s, _ in b) < _ALL * len(b):
        return
    places = {s: at for at, (s, _) in enumerate(a)}
    once = {s for s in given if sum(s == other for other, _ in a) == 1 == sum(s == other for other, _ in b)}
    for at, (verb, _) in enumerate(b):
        if verb not in once or verb in _MUTUAL:
            continue
        mine_before, mine_behind = _around(b, at)
        before, behind = _around(a, places[verb])
        if mine_before & before or not mine_before & behind or not mine_behind & before:
            continue
        end, their_end = _last(b, at), _last(a, places[verb])
        start, their_start = b[max(0, at - 1)][1], a[max(0, places[verb] - 1)][1]
        if _passive(mine, start, end) != _passive(theirs, their_start, their_end):
            continue
        if _lists(mine, start, end) or _lists(theirs, their_start, their_end):
            continue
        said = " ".join(mine.words[start : end + 1])
        yield Finding(
            rule="role",
            outcome="conflict",
            item=said,
            detail=f"“{said}”: the passage has “{' '.join(theirs.words[their_start : their_end + 1])}”",
        )
        return


def _around(contents: Sequence[tuple[str, int]], at: int) -> tuple[set[str], set[str]]:
    return {s for s, _ in contents[max(0, at - 2) : at]}, {s for s, _ in contents[at + 1 : at + 4]}


def _last(contents: Sequence[tuple[str, int]], at: int) -> int:
    """The place of the second content word behind ``at``, or of the last."""
    return contents[min(at + 2, len(contents) - 1)][1]


def _passive(said: _Said, start: int, end: int) -> bool:
    return any(fold(w) in _PASSIVE for w in said.words[start:end])


def _contents(said: _Said) -> list[tuple[str, int]]:
    """(stem, place) of the content words."""
    return [(s, i) for i, (s, w) in enumerate(zip(said.stems, said.words, strict=True)) if fold(w) not in STOP_WORDS]


def _lists(said: _Said, start: int, end: int) -> bool:
    """Whether it is a list, in which the order says nothing: "apples, pears and plums"."""
    return any(fold(w) in ("and", "or") for w in said.words[start:end])


def _negations(said: Sequence[str]) -> int:
    return sum(fold(w) in NEGATIONS or fold(w).endswith("n't") for w in said)


def _said(text: str) -> _Said:
    spans = word_spans(text)
    written = [text[a:b] for a, b in spans]
    return _Said(spans, written, [stem(fold(w)) for w in written])


def _content(said: Sequence[str]) -> set[str]:
    return {stem(fold(w)) for w in said if fold(w) not in STOP_WORDS}


def _is_name(said: Sequence[str], *, first: bool) -> bool:
    return not first and any(w[:1].isupper() for w in said)


def faces(said: str) -> bool:
    """Whether it names somebody or something by a pronoun, or chats: that is no word in the place of another."""
    return any(fold(said[a:b]) in _FACES for a, b in word_spans(said))
