"""Which code page a text of Latin letters is in, told from the alphabets of the languages that are written with each.

Code pages of one byte for each letter differ in little but their letters beyond ASCII: 0xE9 is é in five of them, 0xF5 is
õ of the Portuguese in one and ő of the Hungarian in another. Read in a wrong one, a text has letters that no language has
together, signs within its words or capitals after small letters; each of them is a miss. The page is taken whose letters fit one
language best, a language the more whose common words are there. It knows nothing of other scripts: of Cyrillic, Greek or
Chinese hardly a letter fits, and it says so.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

_WESTERN = ("windows-1252", "iso-8859-15", "mac-roman", "cp850", "cp437")
_NORDIC = (*_WESTERN, "cp865")
_CENTRAL = ("windows-1250", "iso-8859-2", "cp852", "mac-latin2")
_BALTIC = ("windows-1257", "iso-8859-13", "cp775")
_TURKISH = ("windows-1254", "cp857", "mac-turkish")


@dataclass(frozen=True, slots=True)
class _Language:
    """``letters`` beyond ASCII, small; ``words`` of ASCII letters that nearly every text has; ``pages``, the likely ones first."""

    letters: frozenset[str]
    words: frozenset[bytes]
    pages: tuple[str, ...]


def _language(letters: str, words: str, pages: tuple[str, ...]) -> _Language:
    return _Language(frozenset(letters), frozenset(words.encode().split()), pages)


_LANGUAGES = (
    # The letters of English are those of the words and names that it borrows most.
    _language("áâàäåæçéèêëíîïñóôöøúüœ", "the of and to in is that for with it as was on are be by this from at or", _WESTERN),
    _language("àâæçéèêëîïôœùûüÿ", "le la les de des du et en un une est dans pour que qui sur avec par au ne pas ce il", _WESTERN),
    _language("äöüß", "der die das und in den von zu mit ist des auf ein eine nicht dem im sich auch als an werden", _WESTERN),
    _language("áéíñóúü", "el la los las de del y en un una que es por con para se su no lo como al", _WESTERN),
    _language("áâãàçéêíóôõúü", "o a os as de do da dos das e em um uma que por com para se no na ao foi", _WESTERN),
    _language("àèéìíîòóùú", "il la i gli le di del della e in un una che per con non si da al nel sono alla", _WESTERN),
    _language("àçèéíïòóúü", "el la els les de del i en un una que per amb no es al als dels a", _WESTERN),
    _language("áâèéêëíïóôöúûü", "de het een en van in is dat op te zijn voor met niet aan er die nie om", _WESTERN),
    _language("àåäéöü", "och att det som en ett i av den med de inte till var om har kan ska vid", _NORDIC),
    _language("åæéèêòóôø", "og at det som en et i af av den med de ikke til er om har kan skal ved", _NORDIC),
    _language("äåöšž", "ja on ei se oli kun mutta niin ovat joka tai sen olla jos voi", _NORDIC),
    _language("áæéíðóöøúýþ", "og er sem var fyrir um til ekki af en hann eru hefur", _NORDIC),
    _language("áéíóú", "agus an na ar is le go i do ag a as sa", _WESTERN),
    _language("çë", "e i me dhe nga ka se do si u edhe", _WESTERN),
    _language("ñ", "eta da ez bat du dira ere baina dute", _WESTERN),
    _language("äõöüšž", "ja on ei see et oli kui ning mis kes ka ta aga oma", (*_BALTIC, *_WESTERN[:2])),
    _language("ąćęłńóśźż", "i w z na do nie jest to po od o za jak oraz przez dla dnia sie a ze przy", (*_CENTRAL, *_BALTIC)),
    _language("áčďéěíňóöřšťúůüýž", "a v na je se do z o i pro jako za by ve od k ale jsou bylo po tak", _CENTRAL),
    _language("áäčďéíĺľňóôŕšťúýž", "a v na je sa do z o i pre ako za by vo od k ale boli po tak", _CENTRAL),
    _language("áéíóöőúüű", "a az egy hogy nem is van volt meg ez el csak mint vagy de ha", _CENTRAL),
    _language("ăâîșşțţ", "de la si cu pe din care nu un o este al ale pentru mai sunt in a au fost", (*_CENTRAL, "iso-8859-16")),
    _language("ćčđšž", "i u je na se da su za od ne iz koji kao o s bi ili do", _CENTRAL),
    _language("čšžćđ", "in v je na se da so za ne iz ki po pa s z od ali kot bo", _CENTRAL),
    _language("çğıöşüâîûİ", "ve bir bu ile da de olarak olan var daha gibi sonra kadar en ne her", _TURKISH),
    _language("ąčėęįšūųž", "ir su yra bet buvo nuo iki tai o ar kad per po ne jo", _BALTIC),
    _language("āčēģīķļņōŗšūž", "un ir ar no uz par ka tas bet vai kas tika pie lai gan tiek", _BALTIC),
)  # fmt: skip
_PAGES = tuple(dict.fromkeys(page for language in _LANGUAGES for page in language.pages))

_ASCII_WORD = re.compile(rb"(?<![a-z\x80-\xff])[a-z]{1,9}(?![a-z\x80-\xff])")
_WORD = re.compile(r"[^\W\d_]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Signs that stand within no word, those that no letter follows, and those that follow no letter.
_WITHIN = re.compile(r"(?<=[^\W\d_])[^\w\s\x00-\x7f’‘´–—…·\u2011\u00ad](?=[^\W\d_])")
_BEFORE_LETTER = re.compile(r"[±²³¹¢¤¥¦¨¬¯¶¸¼½¾×÷‰ˆ˜ª™‚](?=[^\W\d_])")
_AFTER_LETTER = re.compile(r"(?<=[^\W\d_])[±¢¤¥¦¨¬¯¶¸¼½¾×÷‰ˆ˜‚„]")
_CLOSED = re.compile(r"(?<=[^\W\d_])»")
_OPENED = re.compile(r"[«»](?=[^\W\d_])")
# Signs of measures where they stand in no word: µ is the ľ of another page, ± its ą.
_MEASURE = re.compile(
    r"(?<![^\W\d_])(?:µ(?=(?:[mglLsFAVWHNM]|Hz|Pa|mol)(?![^\W\d_]))|°(?=[CFK]?(?![^\W\d_°]))|±(?![^\W\d_±]))"
    r"|(?<=m)[²³](?![^\W\d_])"
)
_SIGNS = frozenset("«»“”„‘’‚‹›–—…€°§©®™·•¿¡ºª²³¹½¼¾×÷±µ¶†‡£¥¢¨´\xa0\xad\u2011")
_LINES = frozenset(map(chr, range(0x2500, 0x25A0)))  # tables of DOS; within words they are as wrong as any sign

_FITS = 0.02  # misses among the characters beyond ASCII: a name, a word of another language
_FITS_KNOWN = 0.2  # the same where its common words say which language it is
_COMMON_WORDS = 0.1  # of all words, where they say so
_WHOLLY = 3  # of so many words with letters beyond ASCII one may have no others, as żółć
_UNSEEN = 0.1  # what a language costs none of whose common words are there: as many misses


@dataclass(frozen=True, slots=True)
class Fit:
    """``misses`` is the share of characters beyond ASCII that do not fit; ``known``: common words say which language it is."""

    page: str
    misses: float
    known: bool
    beyond_ascii: int


def latin_page(data: bytes) -> Fit | None:
    """The code page in which ``data``, some text with bytes beyond ASCII, reads as one language of Latin letters best; None
    if in none of them it does."""
    measures, n_measures = _MEASURE.subn("", data.decode("windows-1252", "replace"))
    if n_measures and measures.isascii():
        return Fit("windows-1252", 0.0, False, n_measures)
    found = Counter(_ASCII_WORD.findall(data.lower()))
    total = max(1, found.total())
    shares = [sum(found[word] for word in language.words) / total for language in _LANGUAGES]
    most = max(shares)
    best: tuple[float, Fit] | None = None
    for page in _PAGES:
        letters, lost, wide = _looked_at(data.decode(page, "replace"))
        for language, share in zip(_LANGUAGES, shares, strict=True):
            if page not in language.pages or not wide:
                continue
            misses = (lost + sum(n for letter, n in letters.items() if letter not in language.letters)) / wide
            unseen = _UNSEEN * (1 - share / most) if most else 0.0
            later = language.pages.index(page) * 1e-6  # of two that fit alike the likelier
            if best is None or misses + unseen + later < best[0]:
                best = misses + unseen + later, Fit(page, misses, share >= max(_COMMON_WORDS, most), wide)
    if best is None:
        return None
    fit = best[1]
    return fit if fit.misses <= (_FITS_KNOWN if fit.known else _FITS) else None


def _looked_at(text: str) -> tuple[Counter[str], int, int]:
    """Letters beyond ASCII, small, with how often each is there; misses that no alphabet excuses; all
    characters beyond ASCII but lines."""
    wide = Counter(_BEYOND_ASCII.findall(text))
    letters: Counter[str] = Counter()
    lost = drawn = 0
    for char, n in wide.items():
        if char.isalpha() and char not in "ºª":
            small = char.lower()
            letters[small if len(small) == 1 else char] += n
        elif char in _LINES:
            drawn += n
        elif char not in _SIGNS:
            lost += n
    for pattern in (_WITHIN, _BEFORE_LETTER, _AFTER_LETTER):
        lost += sum(1 for _ in pattern.finditer(text))
    lost += max(0, len(_CLOSED.findall(text)) - len(_OPENED.findall(text)))  # ť of another page
    wholly = words = 0
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        words += 1
        if len(word) > 2 and all(c > "\x7f" for c in word):
            wholly += 1
        else:
            lost += sum(b.isupper() and a.islower() for a, b in pairwise(word) if b > "\x7f")
    if wholly * _WHOLLY > words:  # words without a plain letter are few in any Latin script
        lost += wide.total()
    return letters, lost, wide.total() - drawn
