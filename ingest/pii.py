"""Personal data: e-mail addresses, phone numbers and IBANs by their form, and people's names where there is a model
that knows them (``core.protocols.NameFinder``; none is part of this product). It finds, counts and replaces.

A line break cuts no IBAN in two, no e-mail address behind its "@" or a mark of its domain, and no phone number that begins
with "+": of others nobody knows whether the line below goes on with them. Not found is an address that was written to
mislead ("jo at example dot com").
Names are looked for once, in the text as it was: what a model would take for a name after that is not looked at.

Offsets are code points. Everything is linear in the text: candidates are found by bounded expressions, and only they
are looked at by the libraries that know (``phonenumbers``, ``stdnum``).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from core.protocols import NameFinder
from ingest.known_names import KnownNames
from ingest.parse.document import OCR_WORDS, Heading, Page, ParsedDocument

PiiKind = Literal["email", "phone", "iban", "name"]

# Changes whenever other things are found: part of the pipeline's version.
PII_VERSION = "2"
KINDS: tuple[PiiKind, ...] = ("email", "phone", "iban")  # those that are told by their form
MARKERS: dict[PiiKind, str] = {"email": "[e-mail]", "phone": "[phone]", "iban": "[IBAN]", "name": "[name]"}

_AT = re.compile("[@＠﹫]")
_LOCAL = re.compile(r"[\w.%+&'’!#$*/=?^`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?[.。]){1,8}[^\W\d_]{2,24}|(?:xn--[\w-]{1,59})")
_DOMAIN_WRAPPED = re.compile(r"((?:[\w.-]{0,80}[.-])?)(?:[ \t]*\r?\n[ \t]{0,8}|(?<=[@＠﹫])[ \u00a0](?=\w))")
# Between two of its characters may stand the end of a line, and the spaces that the next one begins with.
_IBAN = re.compile(r"(?<![^\W_])(?=([A-Za-z]{2}\d{2}(?:[\s.\-\u2010-\u2015]{0,8}[A-Za-z0-9]){11,30}))")
_PHONE_RUN = re.compile(r"[+＋(（\[]{0,3}\d[\d \t\u00a0\u2000-\u200a\u202f()（）\[\].\-\u2010-\u2015\u2212/~·]*\d")
_PHONE_OVER_LINES = re.compile(
    r"[+＋]\d[\d \u00a0()\[\].\-\u2010-\u2015/]{0,20}\r?\n[ \t]{0,8}[\d(][\d \u00a0()\[\].\-\u2010-\u2015/]{0,20}"
)
_JOINERS = "-.(/\u2010\u2011\u2012\u2013"  # a line that ends in one of these goes on without a space
_SPACES = re.compile(r"[\u2000-\u200a\u202f]")  # that the library does not know
_BRACKETS = {"(": ")", "（": "）", "[": "]", "［": "］"}
_MAX_DOMAIN = 255  # characters
_MIN_PHONE_DIGITS = 7
_AROUND = 16  # characters beside a run of digits that decide whether it is a phone number ("ext. 12", "$", letters)
_LONG_RUN = 400  # a longer run is a table of numbers; it is looked at in pieces
_MAX_ROUNDS = 8
_TICK_EVERY = 256


class Found(NamedTuple):
    start: int
    end: int
    kind: PiiKind


def _nothing() -> None:
    pass


def find_pii(
    text: str,
    regions: Sequence[str] = ("US",),
    tick: Callable[[], None] = _nothing,
    names: NameFinder | None = None,
) -> list[Found]:
    """What there is, in order, no two overlapping.

    Args:
        regions: ISO 3166 codes; a number without a country code is taken as one of these.
        tick: called now and then in a long text; what it raises ends the search.
        names: finds people's names, which are not looked for without it.
    """
    found = _of_a_form(text, regions, tick)
    return _with_names(text, found, KnownNames.of(text, names.find(text, tick))) if names is not None else found


def _with_names(text: str, found: list[Found], known: KnownNames) -> list[Found]:
    """``found`` and the names that are no part of it: "jane" of an address is in its address."""
    taken = [(f.start, f.end) for f in found]
    named = (Found(start, end, "name") for start, end in known.spans(text))
    return sorted([*found, *(f for f in named if not _overlaps(f, taken))])


def _of_a_form(text: str, regions: Sequence[str], tick: Callable[[], None]) -> list[Found]:
    spans: list[Found] = []
    # An IBAN may hold what could be a phone number, and an address may be made of one.
    for finder in (_emails(text), _ibans(text)):
        for n, found in enumerate(finder):
            if n % _TICK_EVERY == 0:
                tick()
            if not spans or not any(f.start < found.end and found.start < f.end for f in spans[-4:]):
                spans.append(found)
        spans.sort()
    taken = [(f.start, f.end) for f in spans]
    for n, run in enumerate(_phone_windows(text)):
        if n % _TICK_EVERY == 0:
            tick()
        spans += [f for f in _phones(text, *run, regions) if not _overlaps(f, taken)]
    spans += [f for f in _phones_over_lines(text) if not _overlaps(f, taken)]
    spans.sort()
    apart: list[Found] = []
    for f in spans:
        if apart and f.start < apart[-1].end:  # seen from two windows or as two regions: one thing
            apart[-1] = apart[-1]._replace(end=max(apart[-1].end, f.end))
        else:
            apart.append(f)
    return apart


def _overlaps(found: Found, taken: list[tuple[int, int]]) -> bool:
    at = bisect_right(taken, (found.start, found.start))
    near = taken[max(0, at - 1) : at + 1]
    return any(start < found.end and found.start < end for start, end in near)


def _emails(text: str) -> Iterator[Found]:
    for at in _AT.finditer(text):
        before = text[max(0, at.start() - 64) : at.start()]
        local = _LOCAL.search(before)
        end = _domain_end(text, at.end()) if local is not None else None
        if local is None or end is None:
            continue
        name = local.group().lstrip(".'’-=/*`|{")
        if name:
            yield Found(at.start() - len(name), end, "email")


def _domain_end(text: str, start: int) -> int | None:
    """Where the domain that begins at ``start`` ends, which may go on below the end of a line; None if there is none."""
    if domain := _DOMAIN.match(text, start):
        return domain.end()
    wrapped = _DOMAIN_WRAPPED.match(text, start)
    if wrapped is None:
        return None
    above, following = wrapped.group(1), text[wrapped.end() : wrapped.end() + _MAX_DOMAIN]
    domain = _DOMAIN.match(above + following)
    if domain is None or domain.end() <= len(above) or (above and not following[:1].islower()):
        return None
    return wrapped.end() + domain.end() - len(above)


def _ibans(text: str) -> Iterator[Found]:
    from stdnum import iban

    done = 0
    for candidate in _IBAN.finditer(text):
        start, end = candidate.span(1)
        if start < done:
            continue
        while end - start >= 15:
            whole = text[end - 1].isalnum() and (end >= len(text) or not text[end].isalnum())
            plain = "".join(c for c in text[start:end] if c.isalnum()) if whole else ""
            if whole and _checks(plain) and iban.is_valid(plain, check_country=False):
                yield Found(start, end, "iban")
                done = end
                break
            end -= 1


def _checks(plain: str) -> bool:
    """The check digits of ISO 7064 alone, which is quick: one in 97 goes on to be looked up."""
    if not plain.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _phone_windows(text: str) -> Iterator[tuple[int, int]]:
    for run in _PHONE_RUN.finditer(text):
        start, end = run.span()
        if sum(c.isdigit() for c in run.group()) < _MIN_PHONE_DIGITS:
            continue
        # A number, and what decides about it, lies on one line.
        before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
        first, last = start - len(before.rpartition("\n")[2]), end + len(after.partition("\n")[0])
        # Pieces overlap by more than a number is long, so that none is cut in two.
        for at in range(start, end, _LONG_RUN - 5 * _AROUND):
            yield max(first, at - _AROUND), min(last, at + _LONG_RUN + _AROUND)
            if at + _LONG_RUN >= end:
                break


def _phones_over_lines(text: str) -> Iterator[Found]:
    """Numbers with a country code that go on below the end of a line, where what stands above it is none yet."""
    import phonenumbers

    for run in _PHONE_OVER_LINES.finditer(text):
        above, _, below = run.group().partition("\n")
        above, below = above.rstrip(), below.lstrip()
        if any(True for _ in phonenumbers.PhoneNumberMatcher(above, "ZZ")):
            continue
        joined = above + ("" if above[-1] in _JOINERS else " ") + below
        for match in phonenumbers.PhoneNumberMatcher(joined, "ZZ"):
            if match.start == 0 and match.end > len(above):
                yield Found(run.start(), run.end() - len(joined) + match.end, "phone")


def _phones(text: str, start: int, end: int, regions: Sequence[str]) -> Iterator[Found]:
    import phonenumbers

    window = _SPACES.sub(" ", text[start:end])
    for region in regions or ("ZZ",):  # "ZZ": no country
        for match in phonenumbers.PhoneNumberMatcher(window, region):
            first, raw = start + match.start, match.raw_string
            while raw[0] in _BRACKETS and _BRACKETS[raw[0]] not in raw:  # it opens what stands around the number
                first, raw = first + 1, raw[1:]
            yield Found(first, start + match.end, "phone")


def count_pii(found: Sequence[Found], *, names: bool = False) -> dict[str, int]:
    """How many of each kind, zeros included; of names only where they were looked for."""
    counts = Counter(f.kind for f in found)
    return {kind: counts[kind] for kind in (*KINDS, "name")[: 4 if names else 3]}


def redact_text(text: str, regions: Sequence[str] = ("US",)) -> str:
    """The text with a marker in place of each find; nothing is found in the result."""
    for _ in range(_MAX_ROUNDS):
        found = find_pii(text, regions)
        if not found:
            return text
        text = _replaced(text, found)
    return _blunt(text, regions)


def _replaced(text: str, found: Sequence[Found]) -> str:
    pieces, last = [], 0
    for f in found:
        pieces += [text[last : f.start], MARKERS[f.kind]]
        last = f.end
    return "".join([*pieces, text[last:]])


def _blunt(text: str, regions: Sequence[str]) -> str:
    """For a text that was made so that each marker uncovers another find: no digit or at sign of it stays."""
    return re.sub(r"[\d@＠﹫]", "•", text) if find_pii(text, regions) else text


def redact_document(
    parsed: ParsedDocument,
    regions: Sequence[str] = ("US",),
    tick: Callable[[], None] = _nothing,
    names: NameFinder | None = None,
) -> tuple[ParsedDocument, dict[str, int]]:
    """The document without them, in text, title, headings, metadata and warnings; and how many were in the text.

    Pages and headings keep their places. With ``names`` the author that the file names goes as a whole, and a name that
    was found anywhere is one everywhere.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS if names is None else (*KINDS, "name"), 0))
    text, pages, headings = parsed.text, parsed.pages, parsed.headings
    # Where the words of a scan lie is for pictures of its pages, which are not shown; and it holds the words.
    metadata = {key: value for key, value in parsed.metadata.items() if key != OCR_WORDS}
    known = _names_in(parsed, metadata, tick, names) if names is not None else None
    for n in range(_MAX_ROUNDS):
        found = _of_a_form(text, regions, tick)
        if known is not None and n == 0:
            found = _with_names(text, found, known)
        if not found:
            break
        counts.update(count_pii(found, names=known is not None))
        moved = _Moved(found)
        text = _replaced(text, found)
        pages = tuple(Page(p.number, moved.at(p.start), moved.at(p.end)) for p in pages)
        headings = tuple(Heading(h.level, h.text, moved.at(h.start)) for h in headings)
        if "figures" in metadata:
            metadata["figures"] = [
                {**f, "start": moved.at(f["start"]), "end": moved.end(f["end"])} for f in metadata["figures"]
            ]
    else:
        text = _blunt(text, regions)  # as long as before

    if known is not None and metadata.get("author"):
        metadata["author"] = MARKERS["name"]

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return redact_text(_without(value, known), regions)
        if isinstance(value, dict):
            return {clean(key): clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner) for inner in value]
        return value

    redacted = replace(
        parsed,
        text=text,
        title=clean(parsed.title),
        pages=pages,
        headings=tuple(Heading(h.level, clean(h.text), h.start) for h in headings),
        metadata=clean(metadata),
        warnings=tuple(w._replace(message=clean(w.message)) for w in parsed.warnings),
    )
    return redacted, dict(counts)


def _names_in(
    parsed: ParsedDocument, metadata: Mapping[str, Any], tick: Callable[[], None], names: NameFinder
) -> KnownNames:
    """The names in all that is stored of a document."""
    said = [parsed.title, *(w.message for w in parsed.warnings), *_strings(metadata)]
    known = KnownNames.of(parsed.text, names.find(parsed.text, tick))
    beside = "\n\n".join(said)  # together, since a name is told by what stands around it
    return known.also(beside, names.find(beside, tick))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _without(text: str, known: KnownNames | None) -> str:
    if known is None:
        return text
    return _replaced(text, [Found(start, end, "name") for start, end in known.spans(text, alone=True)])


class _Moved:
    """Where an offset of the old text lies in the new one; within a find, where its marker begins."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._starts = [f.start for f in found]
        self._found = found
        self._shift = [0]  # before the n-th find
        for f in found:
            self._shift.append(self._shift[-1] + len(MARKERS[f.kind]) - (f.end - f.start))

    def at(self, offset: int) -> int:
        n = bisect_right(self._starts, offset)
        if n and offset < self._found[n - 1].end:
            return self._found[n - 1].start + self._shift[n - 1]
        return offset + self._shift[n]

    def end(self, offset: int) -> int:
        """Of an offset at which something ends: within a find, where its marker ends."""
        n = bisect_right(self._starts, offset - 1)
        if n and offset <= self._found[n - 1].end:
            return self._found[n - 1].start + self._shift[n - 1] + len(MARKERS[self._found[n - 1].kind])
        return offset + self._shift[n]
