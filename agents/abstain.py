"""How "I don't know" is said, and how it is recognised in what a language model says; and what else states nothing.

That there is no evidence of something, or that a price was not specified, is as often a finding about the world as a word about
the passages. Such words count only where the sentence speaks of the passages, or is nothing but that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.cite import MARKER
from core.text import fold, sentence_spans
from core.types import Hit

I_DO_NOT_KNOW = "I don't know."

_NOUN = r"(?:passages?|context(?! of)|documents?|texts?(?! messages?)|sources?(?! of)|excerpts?)"
_GIVEN = r"(?:(?:given|provided|available|above|following|supplied|retrieved|cited|quoted|numbered|uploaded) )?"
_SAYS = r"(?:say|mention|contain|state|provide|give|specify|include|answer|have)"
_IS_NOT = r"(?:is|are|was|were)(?: not|n't)(?: (?:explicitly|clearly|directly|specifically|otherwise))?"
_ASKED = r"(?:the |this |that |any |such )?(?:answers?|information|details?|data|this|that|it)"  # what was asked for, by no name

_SOURCES = re.compile(
    rf"\b(?:the|these|those|any|any of the|none of the|none of these|your|all) {_GIVEN}{_NOUN}\b"
    rf"|\b(?:this|that|no) {_GIVEN}(?:passage|document|text|source|excerpt)\b|^\W*{_NOUN}\b"
)
# These say it whatever else the sentence speaks of.
_UNKNOWN = re.compile(
    r"\bi (?:do not|don't|cannot|can't|could not|couldn't|am unable to|was unable to|am not able to) "
    r"(?:know|find|answer|say|determine|tell|provide)\b"
    r"|\bwe (?:do not|don't|cannot|can't|could not|couldn't) (?:know|answer|say|tell)\b"
    # What is not available or included may be so in the world: of a report it is a claim like any other.
    r"|\b(?:answers?|information|details?) (?:is|are|was|were)(?: not|n't) (?:given|provided|found|included|available)\b"
    r"|\b(?:not|n't) (?:(?:given|provided|found|included|available|contained) )?(?:in|from|by) (?:the|these|those|any|any of the|your) "
    rf"{_GIVEN}{_NOUN}\b"
    rf"|\b{_NOUN}(?: \d+(?:(?:,| and|, and) \d+)*| (?:given|provided|above))? (?:do|does|did) ?(?:not|n't) {_SAYS}\b"
    rf"|\b(?:none of (?:the|these|those|your)|no) {_GIVEN}{_NOUN} (?:{_SAYS}s?|specifies|has)\b"
    r"|(?:^|[,;:] ?|\b(?:but|however|so|that) )there(?: is|'s| was| are) no (?:information|mention|answer)\b"
    r"|^\W*unknown\W*$|\bich weiss (?:es )?nicht\b|\bno lo sé\b|\bje ne sais pas\b|我不知道|لا أعرف|मुझे नहीं पता"
)
# These say it of the passages, where those are spoken of; the first not of what the passages are said to report.
_LACKING = re.compile(r"\b(?:not enough|insufficient|no) (?:information|context|evidence|mention|answer)\b")
_MISSING = re.compile(
    rf"\b{_IS_NOT} (?:mentioned|stated|specified)\b"
    rf"|\b(?:they|it) (?:do|does|did) ?(?:not|n't) {_SAYS}\b"
    r"|\bwe (?:are|were) (?:unable|not able) to\b|\bwe (?:cannot|can't|could not|couldn't) (?:find|determine|provide)\b"
)
# And these where the sentence says nothing else: one short thing that is not told, or no information to answer with.
_ALONE = re.compile(
    rf"\W*[^,;:]{{1,80}} {_IS_NOT} (?:mentioned|stated|specified)(?: here| anywhere| at all)?\W*"
    rf"|\W*{_ASKED} {_IS_NOT} (?:given|provided|found|included|available)(?: here| anywhere| at all)?\W*"
    rf"|\W*it {_IS_NOT} (?:mentioned|stated|specified) (?:who|what|when|where|how|why|whether|which|in)\b[^,;:]{{0,120}}"
    r"|\W*we (?:cannot|can't|could not|couldn't) find (?:any|enough) information\b[^,;:]{0,120}"
    r"|\W*(?:there(?: is|'s| was) )?(?:not enough|insufficient|no) (?:information|context)"
    r"(?: (?:(?:is|was) )?(?:given|provided|available|found))?(?: (?:to|about|on|regarding) [^,;:]{1,120})?\W*"
    r"|\W*(?:there (?:is|was) )?(?:not enough|insufficient|no) evidence to answer\b[^,;:]{0,120}"
    r"|\W*(?:i|we) have no (?:information|mention|answer)\b[^,;:]{0,120}"
)
_REPORTED = re.compile(
    rf"\W*(?:(?:according to|based on|as stated in|from|in) (?:the |these |your )?{_GIVEN}{_NOUN}[^,]{{0,20}}, ?"
    rf"|(?:the |these |your )?{_GIVEN}{_NOUN}(?: \d+)? (?:say|state|report|show|mention|indicate|suggest|note|find|conclude)s? (?:that )?)"
)
_ASIDE = re.compile(r",? (?:however|unfortunately|though),")
_IN_THEM = re.compile(r"\W*(?:it|they) only \w")  # what they do hold, behind what they do not
# Where a sentence may begin to say something else.
_TURN = re.compile(
    r";|,? \b(?:but|although|though|however|whereas|while|yet|nevertheless|except)\b,?"
    r"|,? \band (?=(?:it|they|he|she|there|we|\d+(?! do| does| did))\b)"
)
_FEWEST = 3  # words of a part that may say something
_FILLER = re.compile(r"\W*(?:(?:i'm|i am|we're|we are) (?:very )?)?(?:sorry|afraid|unfortunately)\W*")
_GREETING = re.compile(
    r"\W*(?:sure|certainly|of course|yes|no|ok(?:ay)?|thank(?:s| you)|hello|hi|great|here (?:is|are)|"
    r"based on the (?:passages?|context)|in (?:summary|conclusion))\W*",
    re.IGNORECASE,
)
_MOST_SENTENCES = 3  # of an answer that is none


def says_unknown(sentence: str) -> bool:
    """Whether one sentence, without its markers, says that the answer is not known or not in the passages, and states nothing
    beside that. What it says of what the passages do hold is nothing beside it."""
    said = _ASIDE.sub("", fold(sentence))
    of_sources = _SOURCES.search(said) is not None
    if not _unknown(said, of_sources):
        return False
    return all(
        len(part.split()) < _FEWEST
        or _FILLER.fullmatch(part)
        or _SOURCES.search(part)
        or _unknown(part, of_sources)
        or (of_sources and _IN_THEM.match(part))
        for part in _TURN.split(said)
    )


def _unknown(said: str, of_sources: bool) -> bool:
    reported = _REPORTED.match(said)
    bare = said[reported.end() :] if reported else said
    if _UNKNOWN.search(said) or _ALONE.fullmatch(said) or _ALONE.fullmatch(bare):
        return True
    if _SOURCES.search(bare) and _LACKING.search(bare):
        return True
    return of_sources and _MISSING.search(said) is not None


def is_claim(text: str) -> bool:
    """Whether it states anything: not a question, a heading, a greeting or "I don't know"."""
    stripped = text.strip()
    if not any(c.isalnum() for c in stripped) or stripped.endswith(("?", "？", "؟", ":")):
        return False
    return not _GREETING.fullmatch(stripped) and not says_unknown(stripped)


def is_abstention(answer: str) -> bool:
    """Whether a whole answer is an abstention: it opens with one, and states nothing apart from it. What is said further may
    speak of the passages, but cites none."""
    # Blanked, markers neither end nor begin a sentence; those behind a sentence are its own.
    bare = MARKER.sub(lambda m: " " * len(m.group()), answer)
    spans = sentence_spans(bare)
    if not spans or len(spans) > _MOST_SENTENCES or not says_unknown(bare[slice(*spans[0])]):
        return False
    further = [bare[slice(*span)] for span in spans[1:]]
    cited = len(spans) > 1 and MARKER.search(answer, spans[1][0]) is not None
    return not cited and all(not is_claim(s) or _SOURCES.search(fold(s)) for s in further)


def abstention_reason(question: str, hits: Sequence[Hit], detail: str) -> str:
    """What was looked for and what was nearest."""
    asked = question if len(question) <= 160 else question[:159] + "…"
    if not hits:
        return f"Looked for “{asked}” and found no passage at all: is the right collection chosen, and is it ready?"
    nearest = hits[0]
    page = f", page {nearest.chunk.page}" if nearest.chunk.page is not None else ""
    passages = "1 passage" if len(hits) == 1 else f"{len(hits)} passages"
    return f"Looked for “{asked}” in {passages}. {detail} The nearest is in “{nearest.title}”{page}."
