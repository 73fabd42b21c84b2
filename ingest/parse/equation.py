"""An equation as one line of text: Word's (OMML) and that of web pages (MathML). "^" raises, "_" lowers, "/" divides, and what would
be read otherwise stands in brackets: (a+b)/(2c).

It knows the elements that carry meaning on a line; of all others the text is taken in order.
"""

from __future__ import annotations

import re
from typing import Any

_MAX_DEPTH = 40  # deeper ones are an attack: their text is taken as it comes
_PLAIN = re.compile(r"[-−–+]?[\w.,]*|.")
_TEX = ("application/x-tex", "application/x-latex", "tex", "latex")
_TOKENS = frozenset(["t", "mi", "mn", "mo", "mtext", "ms"])
_LEFT_OUT = frozenset(["annotation", "annotation-xml", "mphantom"])
_RAISED = frozenset(["sSup", "msup", "limUpp", "mover"])
_LOWERED = frozenset(["sSub", "msub", "limLow", "munder"])
_BOTH = frozenset(["sSubSup", "msubsup", "munderover"])
_UNSEEN = dict.fromkeys(range(0x2061, 0x2065))  # "times" and "applied to", as MathML says them to programs


def mathml_text(math: Any) -> str:
    """What stands for a <math>: its own plain text or TeX if it has one, else the line that its elements make."""
    told = math.get("alttext")
    if not told:
        notes = (e for e in math.iter() if _name(e) == "annotation" and (e.get("encoding") or "").lower() in _TEX)
        told = next((note.text for note in notes if note.text), "")
    return " ".join((told or equation_text(math)).split())


def equation_text(element: Any) -> str:
    """The line that what is within ``element`` makes."""
    return ((element.text or "").strip() + "".join(_piece(child, 0) for child in element)).translate(_UNSEEN)


def _piece(element: Any, depth: int) -> str:
    name = _name(element)
    if not name or name in _LEFT_OUT or name.endswith("Pr"):
        return ""
    if name in _TOKENS or depth > _MAX_DEPTH:
        return "".join(element.itertext())
    # Each is asked for once: twice at every depth would be without end.
    every = [_piece(c, depth + 1) for c in element if _name(c) not in _LEFT_OUT and not _name(c).endswith("Pr")]

    def operand(n: int) -> str:
        return every[n] if -len(every) <= n < len(every) else ""

    if name in _RAISED:
        return _bracketed(operand(0)) + _after("^", operand(1))
    if name in _LOWERED:
        return operand(0) + _after("_", operand(1))
    if name in _BOTH:
        return operand(0) + _after("_", operand(1)) + _after("^", operand(2))
    match name:
        case "f" | "mfrac":
            return f"{_bracketed(operand(0))}/{_bracketed(operand(1))}"
        case "rad":
            return f"√{_bracketed(operand(-1))}"
        case "mroot":
            return f"√{_bracketed(operand(0))}"
        case "msqrt":
            return f"√{_bracketed(''.join(every))}"
        case "func":
            return " ".join(every)
        case "nary":
            sign = _property(element, "chr", "∫")
            return f"{sign}{_after('_', operand(0))}{_after('^', operand(1))} {operand(2)}"
        case "d":
            inner = _property(element, "sepChr", "|").join(every)
            return _property(element, "begChr", "(") + inner + _property(element, "endChr", ")")
        case "mfenced":
            inner = (element.get("separators") or ",")[:1].join(every)
            return str(element.get("open", "(")) + inner + str(element.get("close", ")"))
        case "m" | "mtable" | "eqArr":
            return "; ".join(every)
        case "mr" | "mtr":
            return ", ".join(every)
    return (element.text or "").strip() + "".join(every)


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
