"""Pictures of rich text: taken out of it, each leaving a mark where it stood.

A picture is a group ``{\\pict …}`` of control words and its bytes, in hexadecimal or after ``\\bin``. Word writes most of them twice, the
second time as a drawing for programs that know no other (``\\nonshppict``, ``\\shprslt``): those go without a mark where there is a first.
One pass over the bytes, whatever they claim. It knows neither text nor OCR.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

# Escaped braces, bytes that follow a \bin, and what a group begins with; all else between braces is passed over.
_TOKEN = re.compile(rb"\\bin(\d{1,9}) ?|\\([a-z]+)(?:-?\d+)? ?|\\.|[{}]", re.DOTALL)
_FALLBACKS = (b"nonshppict", b"shprslt")
_NOT_HEX = re.compile(rb"[^0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RichText:
    """``data`` is without pictures; in the place of ``pictures[i]`` stands ``mark(i)``, unless a group hides it."""

    data: bytes
    pictures: tuple[bytes, ...]
    token: str

    def mark(self, number: int) -> str:
        return f"{self.token}{number}."


@dataclass(slots=True)
class _Found:
    start: int  # of the outermost group that is the picture's alone
    end: int
    data: bytes
    fallback: bool


def without_pictures(data: bytes) -> RichText:
    """Takes the pictures out of a rich-text file."""
    found = _find(data)
    kept = [f for f in found if not f.fallback] or found
    numbers = {id(f): n for n, f in enumerate(kept)}
    # Letters that no other document has: a text that held a mark would lose it.
    made = RichText(
        data=b"", pictures=tuple(f.data for f in kept), token=f"PICT{hashlib.sha256(data).hexdigest()[:16]}N"
    )
    parts, at = [], 0
    for one in found:
        parts.append(data[at : one.start])
        if id(one) in numbers:
            parts.append(b"{" + made.mark(numbers[id(one)]).encode() + b"}")
        at = one.end
    parts.append(data[at:])
    return RichText(data=b"".join(parts), pictures=made.pictures, token=made.token)


def _find(data: bytes) -> list[_Found]:
    found: list[_Found] = []
    starts: list[int] = []  # of the open groups
    fallbacks = 0  # depth at which the outermost group of a second version begins; 0: none
    shown: int | None = None  # depth of a \shppict, which holds a picture and nothing else
    pict: int | None = None  # depth of the picture being read
    body: list[bytes] = []
    at = 0
    while token := _TOKEN.search(data, at):
        text = token.group()
        if pict is not None and len(starts) == pict:
            body.append(data[at : token.start()])
        at = token.end()
        if text == b"{":
            starts.append(token.start())
        elif text == b"}":
            if not starts:
                continue
            depth, start = len(starts), starts.pop()
            if pict == depth:
                outer = starts[-1] if shown == depth - 1 and starts else start
                found.append(_Found(outer, token.end(), _bytes(body), fallbacks > 0))
                pict, body = None, []
            elif shown == depth:
                shown = None
                if found and found[-1].start == start:
                    found[-1].end = token.end()
            if fallbacks == depth:
                fallbacks = 0
        elif token.group(1) is not None:
            at = min(len(data), token.end() + int(token.group(1)))
            if pict is not None and len(starts) == pict:
                body.append(b"\0" + data[token.end() : at])  # 0 tells them from digits
        elif token.group(2) == b"pict" and pict is None and starts:
            pict = len(starts)
        elif token.group(2) == b"shppict" and pict is None:
            shown = len(starts)
        elif token.group(2) in _FALLBACKS and not fallbacks:
            fallbacks = len(starts)
    return found


def _bytes(pieces: list[bytes]) -> bytes:
    raw = [piece[1:] for piece in pieces if piece.startswith(b"\0")]
    if raw:
        return b"".join(raw)
    digits = _NOT_HEX.sub(b"", b"".join(pieces))
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
