"""Cuts text into sentences and words by rule, in any language, and folds it for comparison.

Every span is a half-open range of code points, so that ``text[start:end]`` is the piece itself. Sentences come in
order, never overlap, begin and end with something visible, and together hold everything that is not white space:
nothing is lost and nothing invented. Every pass is linear in the length of the text.

It knows punctuation, line structure and some abbreviations. It knows no grammar: a sentence that ends in an
abbreviation before a name ("… by Apple Inc. Tim Cook …") stays joined, and Thai, which has no full stop, is cut at
line ends only.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]

# A piece without any terminator (a table that lost its lines, a dump) is cut at white space near this length.
MAX_SENTENCE_CHARACTERS = 1200

_LINE_END = re.compile(r"\r\n|[\n\r\f\v\x85\u2028\u2029]")
_CLOSERS = "\"'”’»›)\\]}」』）】〉》〕］｝＂＇*_"
# A run of terminators with the quotes and brackets that close after it. No look-ahead: what follows is examined
# by hand, because a failing look-ahead would make a run of dots quadratic.
_TERMINATORS = re.compile(rf"[.!?…‼⁇⁈⁉]+[{_CLOSERS}]*|[。｡！？．।॥؟۔։።။។]+[.!?…]*[{_CLOSERS}]*")
_NEEDS_SPACE = frozenset(".!?…‼⁇⁈⁉")
_NOT_A_START = frozenset(".,;:!?…)]}%»”、，；：")

_HEADING = re.compile(r"\s*#{1,6}\s")
_BULLET = re.compile(r"\s*(?:[-*+•‣◦▪●○■□–—·]|\(?(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])\s")
_RULE = re.compile(r"\s*(?:[-=_*~`#]\s?){3,}\s*")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_NUMBER_CELL = re.compile(
    r"[($€£¥]*[-−+]?\d[\d.,]*[)%]*|[—–-]|\$|%|\)|EUR|USD|GBP|CHF|JPY|CAD|AUD|SEK|NOK|DKK|PLN|CZK|INR|CNY"
)
_ENUMERATOR = re.compile(r"\(?(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-zA-Z]|[ivxIVX]{1,5})")


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Never the end of a sentence: something always follows.
_ALWAYS_JOINED = _set(
    """mr mrs ms mx messrs dr prof rev hon gen col lt sgt capt cmdr adm maj cpl pvt pres gov sen rep mt eg e.g i.e ie
    viz cf vs resp incl excl esp c.f z.b d.h u.a bzw sog vgl inkl exkl
    zzgl abzgl einschl ausschl ggf evtl bspw p.ej ej sra srta uds"""
)
# Joined to a number or a single letter ("Fig. 2", "No. 5", "Sec. B"), otherwise an ordinary end.
_BEFORE_NUMBER = _set(
    """fig figs no nos nr núm art arts sec secs ch chap chaps vol vols p pp par eq eqs ex exh app tab tbl ref refs op
    ed eds pt pts v ver ser s abs bd kap abb cap pág págs c ca approx circa item note ft sq ext extn tel para paras cl cls"""
)
# May stand inside a sentence or close it: closed only if what follows is a word that opens sentences.
_MAY_END = _set(
    """inc ltd co corp llc plc cos bros jr sr esq etc al st ft fr hr ca approx dept univ assn est inst natl intl govt
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri ph.d m.d b.a m.a b.sc m.sc
    ll.b d.c a.m p.m a.d b.c b.c.e c.e u.s u.k u.n e.u u.s.a u.s.s.r n.y l.a ave blvd rd hwy bldg apt min max avg oz
    lb lbs kg km cm mm hrs sec mins secs mwst okt dez"""
)
# Behind a number: "5 Mio. Euro", "2 Std. Fahrt"; "un amico mio." and "a hidden gem." end what they end.
_AFTER_NUMBER = _set("mio mrd tsd std")
_STREET = ("str", "pl")  # "Hauptstr. 5", "Marienpl. 1"
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")
# Words before which a German number with a full stop is an ordinal ("am 3. Oktober").
_BEFORE_ORDINAL = _set(
    """am im der die das den dem des vom zum zur ein eine einen einem eines einer bis ab seit und oder ihr sein"""
)
# Labels whose number and full stop open a heading ("Item 2. Properties").
_LABELS = _set("item note part section article step table figure chapter appendix exhibit rule question")
_OPENERS = _set(
    """the a an this that these those it its he she his her they their we our you your i my there here in on at by for
    from with without under over after before during since until when while where who what which why how if although
    though because as and but or so yet however moreover furthermore therefore thus hence then also both each every
    all some many most several such one two three no not nor only once now today to of another other according
    additionally finally first second third instead meanwhile nevertheless overall similarly der die das ein eine er
    sie es wir ihr im in am an auf aus bei mit nach von zu und aber dies diese dieser el la los las un una unos unas
    en de del al por para con y pero no se su sus este esta estos estas es"""
)


def sentence_spans(text: str, max_characters: int = MAX_SENTENCE_CHARACTERS) -> list[Span]:
    """Cuts ``text`` into sentences.

    A blank line, a form feed, a heading, a bullet and a table row are boundaries; so is a terminator, with the quotes
    and brackets that close after it, unless it belongs to an abbreviation, an initial, a decimal or an enumerator.

    Args:
        text: any text, in any language.
        max_characters: a longer piece is cut at a line end or white space before this many code points; one without
            white space stays whole.

    Returns:
        Spans in order: trimmed of white space, disjoint, together holding every visible character.
    """
    spans: list[Span] = []
    for start, end in _blocks(text):
        cut = start
        for boundary in _boundaries(text, start, end):
            _append(spans, text, cut, boundary, max_characters)
            cut = boundary
        _append(spans, text, cut, end, max_characters)
    return spans


def word_spans(text: str) -> list[Span]:
    """The words of ``text``: runs of letters, digits and their marks; a number keeps its separators ("1,234.5").

    Chinese, Japanese and Thai characters, which no space divides, count one by one.
    """
    return [m.span() for m in _word_pattern().finditer(text)]


def words(text: str) -> list[str]:
    """The words of ``text``, each folded for comparison (see ``fold``)."""
    return [_folded_word(text[a:b]) for a, b in word_spans(text)]


@lru_cache(maxsize=100_000)
def _folded_word(word: str) -> str:
    # The same words come again and again; folding each anew is most of what the rules of a check cost.
    return fold(word)


def fold(text: str) -> str:
    """``text`` as it is compared: compatibility forms, case, quotes, dashes and white space made alike.

    For comparison only: offsets into the result are not offsets into ``text``.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_ALIKE).casefold()
    return " ".join(folded.split())


def caseless(text: str) -> str:
    """``text`` without the difference of case, in any script; all else stays. For looking words up in texts of any length:
    it takes a twentieth of the time of ``fold``.

    Characters and their marks are composed again after folding, which takes some apart: "ΐ" and its capital come to the same.
    """
    return unicodedata.normalize("NFC", text.casefold())


def strip_marks(text: str) -> str:
    """``text`` without Latin, Greek and Cyrillic accents ("São" → "Sao"); other scripts keep their vowel signs."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f"))


_ALIKE = str.maketrans(
    dict.fromkeys("‘’‚‛′ʼ＇`´", "'")
    | dict.fromkeys("“”„‟″«»＂", '"')
    | dict.fromkeys("‐‑‒–—―−﹣－", "-")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\ufffe", "")
)


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    # \w leaves out combining marks, and would tear every Hindi word at its vowel signs.
    marks = "".join(rf"\u{c:04x}" for c in range(0x300, 0xFFFF) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me"))
    alone = r"\u0e00-\u0e7f\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    letter = rf"[^\W_{alone}]"
    return re.compile(rf"\d+(?:[.,]\d+)+(?!{letter})|(?:{letter}[{marks}]*)+(?:['’](?:{letter}[{marks}]*)+)*|[{alone}]")


# ---------------------------------------------------------------- blocks: what the lines say


def _blocks(text: str) -> list[Span]:
    """Runs of lines that belong together; each line end between two runs is a certain boundary."""
    lines: list[tuple[int, int, str]] = []  # start, end, the separator after it
    start = 0
    for m in _LINE_END.finditer(text):
        lines.append((start, m.start(), m.group()))
        start = m.end()
    lines.append((start, len(text), ""))

    blocks: list[Span] = []
    for first, last in _paragraphs(text, lines):
        widest = max(e - s for s, e, _ in lines[first:last])
        block_start = lines[first][0]
        previous_whole = _is_whole(text, lines[first])
        for i in range(first + 1, last):
            whole = _is_whole(text, lines[i])
            opens = whole or _BULLET.match(text, lines[i][0], lines[i][1]) is not None
            if previous_whole or opens or _ends_short(text, lines[i - 1], lines[i], widest):
                blocks.append((block_start, lines[i - 1][1]))
                block_start = lines[i][0]
            previous_whole = whole
        blocks.append((block_start, lines[last - 1][1]))
    return blocks


def _paragraphs(text: str, lines: list[tuple[int, int, str]]) -> list[Span]:
    """Ranges of line numbers between blank lines and page breaks."""
    paragraphs: list[Span] = []
    first = 0
    for i, (start, end, separator) in enumerate(lines):
        blank = end == start or text[start:end].isspace()
        if blank or separator in ("\f", "\u2029"):
            last = i if blank else i + 1
            if last > first:
                paragraphs.append((first, last))
            first = i + 1
    if first < len(lines):
        paragraphs.append((first, len(lines)))
    return paragraphs


def _is_whole(text: str, line: tuple[int, int, str]) -> bool:
    """True for a line that is a unit by itself: a heading, a rule, a fence, a table row."""
    start, end, _ = line
    if _HEADING.match(text, start, end) or _FENCE.match(text, start, end):
        return True
    if end - start <= 400 and _RULE.fullmatch(text, start, end):
        return True
    if text.count("|", start, end) >= 2 or text[start:end].lstrip().startswith("|"):
        return True
    if "\t" in text[start:end].strip():
        return True
    # A row of a financial table: words, then at least two cells that are numbers.
    cells = text[max(start, end - 80) : end].split()
    numbers = 0
    for cell in reversed(cells):
        if not _NUMBER_CELL.fullmatch(cell):
            break
        numbers += any(c.isdigit() for c in cell)
    return numbers >= 2


def _ends_short(text: str, line: tuple[int, int, str], following: tuple[int, int, str], widest: int) -> bool:
    """True where a wrapped paragraph would have had room for the next word: a title, or a last line."""
    content = text[line[0] : line[1]].strip()
    after = text[following[0] : following[1]].lstrip()
    if not content or not after or not (after[0].isupper() or after[0].isdigit()):
        return False
    return widest >= 40 and len(content) < 0.55 * widest and content[-1] not in ",;-–—&("


# ---------------------------------------------------------------- boundaries: what the punctuation says


def _boundaries(text: str, start: int, end: int) -> list[int]:
    """Offsets just behind each sentence of the block that is followed by another."""
    boundaries: list[int] = []
    for m in _TERMINATORS.finditer(text, start, end):
        after = m.end()
        if after >= end:
            break
        mark = text[m.start()]
        if mark not in _NEEDS_SPACE:
            boundaries.append(after)
        elif text[after].isspace():
            if _closes(text, start, m, end):
                boundaries.append(after)
        elif mark != "." and _is_unspaced(text[after]):
            boundaries.append(after)  # "Really?是的": Latin marks in a script without spaces
    return boundaries


def _closes(text: str, block_start: int, mark: re.Match[str], block_end: int) -> bool:
    """Whether a Latin terminator that white space follows is the end of a sentence."""
    following = _next_word(text, mark.end(), block_end)
    if not following or following[0] in _NOT_A_START:
        return False
    lower_follows = following[0].islower()
    if mark.group()[0] != "." or len(mark.group().rstrip(_CLOSERS)) > 1:
        return not lower_follows
    if mark.group() != ".":  # a quote or bracket closes after the full stop
        return not lower_follows
    before = _previous_token(text, block_start, mark.start())
    if not before:
        return not lower_follows  # "the force . The": a tokenised full stop
    bare = before.lstrip("([{\"'“‘«¿¡*_").casefold()
    if bare in _ALWAYS_JOINED:
        return False
    opens = following.casefold() in _OPENERS and not lower_follows
    numbered = following[0].isdigit() or following == "+" or (len(following) == 1 and following.isupper() and not opens)
    if (bare in _BEFORE_NUMBER or bare.endswith(_STREET)) and numbered:
        return False
    if bare == "gem" and following[0] == "§":
        return False
    if bare in _AFTER_NUMBER and _previous_token(text, block_start, mark.start() - len(before) - 1)[-1:].isdigit():
        return opens
    if bare in _MAY_END or _DOTTED.fullmatch(bare):
        return opens
    if len(bare) == 1 and bare.isalpha():
        return opens  # an initial, unless "vitamin C. The …"
    if _ENUMERATOR.fullmatch(before) and _opens_line(text, block_start, mark.start() - len(before)):
        return False
    if bare.isdigit() and len(bare) <= 2:
        earlier = _previous_token(text, block_start, mark.start() - len(before) - 1)
        label_at = mark.start() - len(before) - 1 - len(earlier)
        if earlier.casefold() in _LABELS and _opens_line(text, block_start, label_at):
            return False
        return not lower_follows and (opens or earlier.casefold() not in _BEFORE_ORDINAL)
    if lower_follows:
        # Careless writing ("… gameplay. the league …") against an abbreviation that is not in the lists.
        return len(bare) >= 5 and bare.isalpha()
    return True


def _previous_token(text: str, floor: int, end: int) -> str:
    """What stands directly before ``end``, up to white space; at most its last 24 characters."""
    start = max(floor, end - 24)
    piece = text[start:end]
    if not piece or piece[-1].isspace():
        return ""
    return piece.split()[-1]


def _next_word(text: str, start: int, end: int) -> str:
    """The first word after ``start`` with its opening quote left out; one mark if there is no word."""
    i = start
    while i < end and text[i].isspace():
        i += 1
    piece = text[i : min(end, i + 32)]
    word = piece.lstrip("\"'“‘«‹([{¿¡*_-–—•「『（")
    if not word:
        return piece[:1]
    m = re.match(r"\w+", word)
    return m.group() if m else word[0]


def _opens_line(text: str, floor: int, position: int) -> bool:
    i = position - 1
    while i >= floor and i > position - 40 and text[i] in " \t#*-(":
        i -= 1
    return i < floor or text[i] in "\n\r\f\v"


def _is_unspaced(c: str) -> bool:
    return "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3"


# ---------------------------------------------------------------- spans


def _append(spans: list[Span], text: str, start: int, end: int, max_characters: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > max_characters:
        cut = _last_break(text, start, start + max_characters, end)
        if cut == end:
            break
        stop = cut
        while text[stop - 1].isspace():
            stop -= 1
        spans.append((start, stop))
        start = cut
        while text[start].isspace():
            start += 1
    if end > start:
        spans.append((start, end))


def _last_break(text: str, start: int, limit: int, end: int) -> int:
    """Where to cut a piece that is too long: a line end in its second half, else white space, else after it."""
    newline = text.rfind("\n", start + (limit - start) // 2, limit)
    if newline > start:
        return newline
    for i in range(limit, start, -1):
        if text[i].isspace():
            return i
    m = re.compile(r"\s").search(text, limit, end)
    return m.start() if m else end
