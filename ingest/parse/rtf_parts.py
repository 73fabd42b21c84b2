"""What rich text holds beside its running text: foot- and endnotes, comments, boxes, and text that is not shown.

striprtf leaves out notes, comments and boxes without a word, and takes hidden text for shown. So each note is put at the end of the file
as running text, its number where it stood, then boxes and comments; hidden text is taken out and quoted, deletions of
tracked changes are taken out as everywhere. One pass over the bytes, whatever they claim; it knows no letters, only what lies between braces.
Source: Rich Text Format Specification 1.9.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from striprtf.striprtf import destinations

_ANY = re.compile(rb"\\(?:v(?![a-z])|deleted|footnote|annotation|shptxt)")  # else there is nothing to do
_TOKEN = re.compile(rb"\\([a-zA-Z]+)(-?\d+)? ?|\\'[0-9a-fA-F]{2}|\\[^a-zA-Z]|[{}]|[\r\n]+|[^\\{}\r\n]+", re.DOTALL)
_DROPPED = frozenset(word.encode() for word in destinations)
_KEPT = frozenset([b"footnote", b"annotation", b"shptxt"])
_AUTHOR = b"atnauthor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """``data`` is all that is shown, in one run; ``hidden`` the passages taken out, as rich text."""

    data: bytes
    hidden: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Group:
    start: int  # index into the pieces where it begins
    hidden: bool = False
    deleted: bool = False
    dropped: bool = False
    kept: bytes = b""  # what it is, of those that are put elsewhere


@dataclass(slots=True)
class _Pass:
    pieces: list[bytes] = field(default_factory=list)
    groups: list[_Group] = field(default_factory=list)
    hidden: list[list[bytes]] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)
    boxes: list[bytes] = field(default_factory=list)
    comments: list[bytes] = field(default_factory=list)
    author: bytes = b""
    fresh: bool = False  # a group has begun, and no text yet
    was_hidden: bool = False  # the text before was, too

    def read(self, data: bytes) -> None:
        for token in _TOKEN.finditer(data):
            text, word = token.group(), token.group(1)
            if text == b"{":
                outer = self.groups[-1] if self.groups else _Group(0)
                self.groups.append(_Group(len(self.pieces), outer.hidden, outer.deleted, outer.dropped))
                self.pieces.append(text)
                self.fresh = True
            elif text == b"}":
                if len(self.groups) == 1:
                    self.pieces.append(self.end())
                self.pieces.append(text)
                if self.groups:
                    self._close(self.groups.pop())
            elif word:
                self._word(word, token.group(2), text)
                self.fresh = False
            elif text == b"\\*":
                if self.groups and self.fresh:
                    self.groups[-1].dropped = True
                self.pieces.append(text)
            else:
                self._text(text)
        if self.groups:
            self.pieces.append(self.end())

    def end(self) -> bytes:
        """Everything that was put aside."""
        notes = [b"[^%d]: %s" % (n, note) for n, note in enumerate(self.notes, 1)]
        put = b"".join(b"{\\par\\pard %s}" % text for text in (*self.boxes, *notes, *self.comments))
        self.boxes, self.notes, self.comments = [], [], []
        return put

    def _word(self, word: bytes, value: bytes | None, text: bytes) -> None:
        group = self.groups[-1] if self.groups else None
        if group is None:
            self.pieces.append(text)
        elif word in _KEPT and (not group.dropped or self.fresh or word == b"shptxt"):
            group.kept, group.dropped = word, False
        else:
            if word in _DROPPED or (word == _AUTHOR and self.fresh):
                group.dropped = True
                group.kept = word if word == _AUTHOR else b""
            if word == b"v":
                group.hidden = value != b"0"
            elif word == b"deleted":
                group.deleted = value != b"0"
            elif word == b"plain":
                group.hidden = group.deleted = False
            self.was_hidden = self.was_hidden and word != b"par"
            if word == b"u" and (group.hidden or group.deleted):
                self._text(text)
            else:
                self.pieces.append(text)

    def _text(self, text: bytes) -> None:
        group = self.groups[-1] if self.groups else _Group(0)
        if group.dropped or not (group.hidden or group.deleted):
            self.pieces.append(text)
            self.was_hidden = self.was_hidden and (group.dropped or not text.strip())
            return
        if group.hidden and not group.deleted:
            if not self.was_hidden:
                self.hidden.append([])
            self.hidden[-1].append(text)
            self.was_hidden = True

    def _close(self, group: _Group) -> None:
        if not group.kept:
            return
        # Without the braces and the words that said what it is.
        inner = b"".join(self.pieces[group.start + 1 : -1]).removeprefix(b"\\*")
        if group.kept == _AUTHOR:
            self.author = inner.removeprefix(b"\\" + _AUTHOR).strip()
            return
        del self.pieces[group.start :]
        match group.kept:
            case b"footnote":
                self.notes.append(inner)
                self.pieces.append(b"{[^%d]}" % len(self.notes))
            case b"shptxt":
                self.boxes.append(inner)
                self.pieces.append(b"{}")
            case _:
                said = b"Comment (%s): " % self.author if self.author else b"Comment: "
                self.comments.append(said + inner)
                self.author = b""
                self.pieces.append(b"{}")  # a control word before it ends there, as it did


def shown_text(data: bytes) -> ShownText:
    """Puts what striprtf would drop into the running text, and takes out what is not shown."""
    if not _ANY.search(data):
        return ShownText(data=data)
    found = _Pass()
    found.read(data)
    hidden = (b"".join(pieces) for pieces in found.hidden)
    return ShownText(data=b"".join(found.pieces), hidden=tuple(text for text in hidden if text.strip()))
