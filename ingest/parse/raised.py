"""What stands between a number and raised type that follows it: "10⁶" is not 106, nor "$15¹" (a footnote's mark) $151.

Plain text has no raised type, and Unicode's raised digits do not help: search folds them (NFKC) to plain ones. So a caret is written,
as people do who type. After a word nothing is: "Revenue1" cannot be mistaken for another figure.
"""

from __future__ import annotations

import re

# What is raised after a number as part of its word: "2nd", "19e siècle", "1er", "1ro", "12h", "25oC", and the signs of trade marks.
# Not "a", "b" and "c" by themselves, which are marks of footnotes.
_ENDINGS = frozenset(
    [
        *("st", "nd", "rd", "th", "d"),  # English
        *("e", "er", "re", "ère", "ème", "eme", "ers", "res", "de", "nde", "des", "ndes", "es", "h"),  # French
        *("o", "os", "as", "ro", "ra", "do", "da", "to", "ta", "vo", "va", "mo", "ma", "no", "na", "º", "ª"),  # Spanish
        *("tm", "sm"),
    ]
)
_TIME = re.compile(r"h\d\d")  # 12h30
_BEGINS_A_NUMBER = re.compile(r"[-−–+]?[^\W_]")
_ROUND = ("o", "O", "0", "º")
_AFTER_FIGURE = re.compile(r"\d\s?\Z")
_SCALE = re.compile(r"\s?[CF]\b")
_BAR = ("/", "\N{FRACTION SLASH}")


def before_raised(text: str, mark: str, after: str = "") -> str:
    """What is to stand between ``text`` and ``mark``, raised, that follows it at once: "^", " " or nothing.

    A space parts a number from its fraction ("3" and a raised "1" before "/2" is 3 1/2).

    Args:
        after: what follows ``mark``, not raised, as far as that is known.

    >>> before_raised("10", "6"), before_raised("Revenue", "1"), before_raised("2", "nd"), before_raised("3", "1", "/2")
    ('^', '', '', ' ')
    """
    if not text[-1:].isdecimal() or not _BEGINS_A_NUMBER.match(mark):
        return ""
    word = mark.strip().lower()
    if word in _ENDINGS or _TIME.fullmatch(word):
        return ""
    if word.removesuffix("/").removesuffix(_BAR[1]).isdecimal() and (mark.endswith(_BAR) or after.startswith(_BAR)):
        return " "
    return "^"


def raised_sign(text: str, mark: str, after: str) -> str:
    """``mark``, raised after ``text``, or "°" if it is an "o" or a nought that stands for it: 25°C, not 250C."""
    is_degree = mark.strip() in _ROUND and _AFTER_FIGURE.search(text[-3:]) and _SCALE.match(after)
    return "°" if is_degree else mark


def joined_runs(runs: list[tuple[str, bool]]) -> str:
    """A line of runs, each with whether it is raised, as plain text."""
    parts: list[str] = []
    last = ""  # the end of what was written
    after_raised = False
    for n, (run, raised) in enumerate(runs):
        if not run:
            continue
        if raised and not after_raised:
            mark, after = _mark_from(runs, n)
            run = raised_sign(last, run, after) if run == mark else run
            parts.append(before_raised(last, run if run == "°" else mark, after))
        parts.append(run)
        last, after_raised = run, raised
    return "".join(parts)


def _mark_from(runs: list[tuple[str, bool]], n: int) -> tuple[str, str]:
    """The raised runs from ``n`` on as one, and the run after them."""
    end = n
    while end < len(runs) and (runs[end][1] or not runs[end][0]):
        end += 1
    return "".join(run for run, _ in runs[n:end]), runs[end][0] if end < len(runs) else ""
