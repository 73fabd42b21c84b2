"""An equation as one line of text: Word's (OMML) and that of web pages (MathML). "^" raises, "_" lowers, "/" divides, and what would
be read otherwise stands in brackets: (a+b)/(2c).

It knows the elements that carry meaning on a line; of all others the text is taken in order.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

_MAX_DEPTH = 40  # deeper ones are an attack: their text is taken as it comes
_PLAIN = re.compile(r"[-−–+]?[\w.,]*|.")
_TEX = ("application/x-tex", "application/x-latex", "tex", "latex")
_TOKENS = frozenset(["t", "mi", "mn", "mo", "mtext", "ms"])
_LEFT_OUT = frozenset(["annotation", "annotation-xml", "mphantom"])
_RAISED = frozenset(["sSup", "msup", "limUpp", "mover"])
_LOWERED = frozenset(["sSub", "msub", "limLow", "munder"])
_BOTH = frozenset(["sSubSup", "msubsup", "munderover"])
_OPENING = "([{"
# Where a fraction stands next to one of these, it is not plain how far the bar goes.
_TOUCHES_AFTER = re.compile(r"[\w)\]}√/^÷!\u2061-\u2063]")
_TOUCHES_BEFORE = re.compile(r"[\w(\[{√∑∏∫∂∇/^÷!\u2061-\u2063]")
_SIMPLE_FRACTION = re.compile(r"\d+/\d+")
_NUMBER = re.compile(r"(?<![\w^.,√/÷)\]}])\d(?:[\d.,]*\d)?\Z")
_MAX_NUMBER = 20  # characters
_OVER = re.compile(r"\([^()]* over [^()]*\)")
_INVISIBLE_PLUS = "\u2064"  # of mixed numbers
_UNSEEN = dict.fromkeys(range(0x2061, 0x2065))  # "times" and "applied to", as MathML says them to programs


class _Piece(NamedTuple):
    """Part of a line: as it was written; with something raised, lowered or under a root; or "loose": a fraction, which what stands
    beside it may seem to belong to."""

    text: str
    kind: Literal["plain", "script", "loose"] = "plain"


def mathml_text(math: Any) -> str:
    """What stands for a <math>: its own plain text or TeX if it has one, else the line that its elements make."""
    told = math.get("alttext")
    if not told:
        notes = (e for e in math.iter() if _name(e) == "annotation" and (e.get("encoding") or "").lower() in _TEX)
        told = next((note.text for note in notes if note.text), "")
    return " ".join((told or equation_text(math)).split())


def equation_text(element: Any) -> str:
    """The line that what is within ``element`` makes."""
    pieces = [_Piece((element.text or "").strip())]
    for child in element:
        pieces += _pieces(child, 0)
    return _joined(pieces).translate(_UNSEEN)


def _pieces(element: Any, depth: int) -> list[_Piece]:
    """One for what the element means; for one that means nothing by itself, those of its children."""
    name = _name(element)
    if _is_left_out(name):
        return []
    if name in _TOKENS or depth > _MAX_DEPTH:
        return [_Piece("".join(element.itertext()).replace(_INVISIBLE_PLUS, ""))]
    # Each is asked for once: twice at every depth would be without end.
    every = [_pieces(c, depth + 1) for c in element if not _is_left_out(_name(c))]
    made = _made(element, name, every)
    if made:
        return [made]
    return [_Piece((element.text or "").strip()), *(piece for pieces in every for piece in pieces)]


def _made(element: Any, name: str, every: list[list[_Piece]]) -> _Piece | None:
    """What ``element`` makes of its operands; None if it makes nothing of them."""

    def operand(n: int) -> str:
        return _joined(every[n]) if -len(every) <= n < len(every) else ""

    def whole(n: int) -> str:
        """A fraction in brackets, for a place where it would not be read as one operand."""
        filled = [p for p in every[n] if p.text.strip()] if n < len(every) else []
        return _bracketed(operand(n)) if len(filled) == 1 and filled[0].kind == "loose" else operand(n)

    if name in _RAISED:
        return _Piece(_bracketed(operand(0)) + _after("^", operand(1)), "script")
    if name in _LOWERED:
        return _Piece(whole(0) + _after("_", operand(1)), "script")
    if name in _BOTH:
        return _Piece(whole(0) + _after("_", operand(1)) + _after("^", operand(2)), "script")
    match name:
        case "f" | "mfrac" if _has_no_bar(element):
            return _Piece(f"({operand(0).strip()} over {operand(1).strip()})")
        case "f" | "mfrac":
            return _Piece(f"{_bracketed(operand(0))}/{_bracketed(operand(1))}", "loose")
        case "rad":
            return _root(operand(-1), operand(0) if len(every) > 1 else "")
        case "mroot":
            return _root(operand(0), operand(1))
        case "msqrt":
            return _root(_joined([piece for pieces in every for piece in pieces]), "")
        case "func":
            return _Piece(" ".join(whole(n) for n in range(len(every))), "script")
        case "nary":
            sign = _property(element, "chr", "∫")
            return _Piece(f"{sign}{_after('_', operand(0))}{_after('^', operand(1))} {whole(2)}", "script")
        case "d":
            ends = _property(element, "begChr", "("), _property(element, "endChr", ")")
            return _fenced(every, ends, _property(element, "sepChr", "|"))
        case "mfenced":
            ends = str(element.get("open", "(")), str(element.get("close", ")"))
            return _fenced(every, ends, (element.get("separators") or ",")[:1])
        case "m" | "mtable" | "eqArr":
            return _Piece("; ".join(map(_joined, every)))
        case "mr" | "mtr":
            return _Piece(", ".join(map(_joined, every)))
    return None


def _joined(pieces: list[_Piece]) -> str:
    """Neighbours as one line, each still read as what it is: 2 and 1/3 is "2 1/3", not 21/3; 1/2 and x is "(1/2)x"."""
    line = ""
    last = ""
    filled = [piece for piece in pieces if piece.text]
    for n, (text, kind) in enumerate(filled):
        after = filled[n + 1].text[0] if n + 1 < len(filled) else ""
        if kind == "loose":
            touched = bool(_TOUCHES_BEFORE.match(after))
            number = _NUMBER.search(line, max(0, len(line) - _MAX_NUMBER))
            if number and _SIMPLE_FRACTION.fullmatch(text):
                text = f"{number.group()} {text}"
                line = line[: number.start()]
            elif _TOUCHES_AFTER.match(line[-1:]):
                touched = True
            text = f"({text})" if touched else text
        elif last == "script" and line[-1].isdecimal() and text[0].isdecimal():
            line += " "
        elif line.endswith("(") and after == ")" and _OVER.fullmatch(text):
            text = text[1:-1]
        line += text
        last = kind
    return line


def _root(radicand: str, degree: str) -> _Piece:
    """√x, or x^(1/3) of another degree than two."""
    if degree.strip() in ("", "2"):
        return _Piece(f"√{_bracketed(radicand)}", "script")
    base = _bracketed(radicand)
    base = base if base[:1].isalnum() or base[:1] in _OPENING else f"({base})"
    return _Piece(f"{base}^(1/{_bracketed(degree)})", "loose")


def _fenced(every: list[list[_Piece]], ends: tuple[str, str], separator: str) -> _Piece:
    inner = [_Piece(ends[0])]
    for n, pieces in enumerate(every):
        inner += [_Piece(separator), *pieces] if n else pieces
    return _Piece(_joined([*inner, _Piece(ends[1])]))


def _has_no_bar(fraction: Any) -> bool:
    """As a binomial coefficient is set."""
    thickness = re.fullmatch(r"0*\.?0*(?:[a-z]+|%)?", (fraction.get("linethickness") or "1").strip())
    return bool(thickness) or _property(fraction, "type", "bar") == "noBar"


def _is_left_out(name: str) -> bool:
    return not name or name in _LEFT_OUT or name.endswith("Pr")


def _name(element: Any) -> str:
    """Without namespace and prefix, which a page's HTML may have kept; "" for what is no element."""
    return re.split(r"[}:]", element.tag)[-1] if isinstance(element.tag, str) else ""


def _after(sign: str, text: str) -> str:
    return sign + _bracketed(text) if text.strip() else ""


def _bracketed(text: str) -> str:
    """In brackets, unless it is one word, number or sign, or stands in brackets already."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return text
    depth = 0
    for n, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth:
            return text if n == len(text) - 1 and n else f"({text})"
    return f"({text})"


def _property(element: Any, name: str, default: str) -> str:
    """A setting of Word's: ``m:val`` of the element ``name`` among the properties."""
    for properties in element:
        for found in properties if _name(properties).endswith("Pr") else ():
            if _name(found) == name:
                return next((str(found.get(key)) for key in found.keys() if key.endswith("val")), default)  # noqa: SIM118
    return default
