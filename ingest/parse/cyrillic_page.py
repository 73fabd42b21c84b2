"""Which code page a text of Cyrillic letters is in, told from the commonest words of the languages that are written with them.

In all five pages nearly every byte beyond ASCII is a letter, so letters say little: a text of one page is Cyrillic in the others,
too, and no language. The page is taken in which most of the common words are there. It knows nothing of other scripts, whose letters are no such words.
"""

from __future__ import annotations

import re

_PAGES = ("windows-1251", "koi8-u", "iso-8859-5", "cp866", "mac-cyrillic")
_LETTERS = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўђјљњћџѓќѕ")
_RUSSIAN = "и в не на с что по к для из от как это а у за о до мы вы все если при или так"
_OTHERS = "і з що та від як це й є або які про да се е са ще като је су од ће који"
_WORDS = frozenset(f"{_RUSSIAN} {_OTHERS}".split())
_WORD = re.compile(r"[^\W\d_]+")
_SIGNS = frozenset("«»“”„‘’–—…№§©®°·•\xa0€")
_FITS = 0.02  # misses among the characters beyond ASCII
_STRANGE = (
    0.1  # of the words, those with Latin letters or a capital inside, as Chinese has them here; of the letters, signs
)
_LEAST_SHARE, _LEAST_WORDS = 0.1, 2  # of all words, and how many: else there is too little to tell from


def cyrillic_page(data: bytes) -> str | None:
    """The code page in which ``data``, some text with bytes beyond ASCII, reads as Russian, Ukrainian, Bulgarian or Serbian; None
    if in none of them it does."""
    best = -1.0, ""
    for page in _PAGES:
        text = data.decode(page, "replace")
        wide = [c for c in text if c > "\x7f"]
        misses = sum(1 for c in wide if c.lower() not in _LETTERS and c not in _SIGNS)
        words = [word for word in _WORD.findall(text) if not word.isascii()]
        common = sum(1 for word in words if word.lower() in _WORDS and _is_cased(word))
        if misses > _FITS * len(wide) or common < max(_LEAST_WORDS, _LEAST_SHARE * len(words)):
            continue
        strange = sum(1 for word in words if not _is_cased(word) or min(word) < "\x80")
        if strange > _STRANGE * len(words):
            continue
        # windows-1251 and that of the Macintosh have the small letters alike; capitals of one are signs in the other.
        odd = sum(1 for c in wide if not c.isalpha()) + sum(1 for word in words if not _is_cased(word))
        if odd > _STRANGE * len(wide):  # so is Arabic, in which "and" is the letter that is "and" in Russian
            continue
        best = max(best, (common / len(words) - odd / len(wide), page))
    return best[1] or None


def _is_cased(word: str) -> bool:
    """Whether a word is written small, with a capital, or in capitals: in other pages the two are often the other way round."""
    return word.islower() or word.istitle() or word.isupper()
