"""Turns a model's stream into an answer: text to show, sentences as they close, markers that are real.

What ``take`` has given out is never changed afterwards: joined together it is the answer's text. To keep that true,
a marker that has not closed yet, white space at the end, and the first word behind a possible end of sentence are held
back until what follows decides about them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.cite import CLOSING, MARKER, MAX_MARKER, OPENING, Bibliography, numbers_in
from core.text import sentence_spans


@dataclass(slots=True, kw_only=True)
class ClosedSentence:
    """A sentence of the answer that is finished; offsets are into the answer's text."""

    start: int
    end: int
    text: str
    claim: str  # without its markers
    markers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Mark:
    start: int
    end: int
    number: int


class AnswerWriter:
    """Fed with a model's text; see the module. Not thread-safe: one run, one task."""

    def __init__(self, bibliography: Bibliography) -> None:
        self._bibliography = bibliography
        self._raw = ""  # received, not yet understood
        self.text = ""
        self._shadow = ""  # the same with markers blanked, so that they neither end nor begin a sentence
        self._marks: list[_Mark] = []
        # Cited at the start of a line, before the sentence that they belong to: (where, passage).
        self._leading: list[tuple[int, int]] = []
        self._closed_to = 0
        self._given_to = 0
        self.removed: list[str] = []  # markers that named no passage, each once

    @property
    def closed_to(self) -> int:
        """Where the last sentence that ``close`` gave ends, its markers included."""
        return self._closed_to

    def feed(self, delta: str) -> None:
        self._raw += delta
        self._understand(final=False)

    def finish(self) -> None:
        """No more will come; ``close`` and ``take`` then give everything that is left."""
        self._understand(final=True)
        trimmed = self.text.rstrip()
        if len(trimmed) >= self._given_to:
            self.text, self._shadow = trimmed, self._shadow[: len(trimmed)]

    def close(self, *, final: bool = False) -> ClosedSentence | None:
        """The next sentence that is finished, if there is one; ``final`` closes the last."""
        # A word that is still being written could yet turn the end before it into none ("U.S. Th" … "Theory").
        known = len(self._shadow) if final else max(self._shadow.rfind(c) for c in " \n\t") + 1
        spans = sentence_spans(self._shadow[self._closed_to : known])
        if not spans:
            return None
        start = self._closed_to + spans[0][0]
        for i, (_, b) in enumerate(spans):
            end = self._closed_to + b
            last = i == len(spans) - 1
            if last and not final:
                return None
            following = self._closed_to + spans[i + 1][0] if not last else len(self._shadow)
            marks = [m for m in self._marks if start <= m.start and m.end <= following]
            behind = [m for m in marks if m.start >= end and "\n" not in self._shadow[end : m.start]]
            reach = max([end, *(m.end for m in behind)])
            # An end that was shown as none stays none: nothing may be written behind it any more.
            if reach < self._given_to and not last:
                continue
            return self._closed(start, end, reach, [m for m in marks if m.start < reach], final and last)
        return None

    def cite(self, sentence: ClosedSentence, passages: list[int]) -> None:
        """Adds markers behind a sentence that ``close`` has just given and that has none."""
        at = self._closed_to
        for passage in passages:
            number = self._bibliography.cite(passage, sentence.claim)
            if number in sentence.markers:
                continue
            marker = ("" if self.text[at - 1 : at] == "]" else " ") + f"[{number}]"
            self.text = self.text[:at] + marker + self.text[at:]
            self._shadow = self._shadow[:at] + " " * len(marker) + self._shadow[at:]
            for mark in self._marks:
                if mark.start >= at:
                    mark.start, mark.end = mark.start + len(marker), mark.end + len(marker)
            at += len(marker)
            sentence.markers.append(number)
        self._leading = [(where + at - self._closed_to, n) for where, n in self._leading]
        self._closed_to = at

    def take_closed(self) -> str:
        """What may be shown and was not given before of the sentences that ``close`` has given: while it may give more, no
        more may be shown, or the next one would grow into what is shown already."""
        return self._give(max(self._given_to, self._closed_to))

    def take(self, *, final: bool = False) -> str:
        """What may be shown now and was not given before; call it when ``close`` has no more."""
        return self._give(len(self.text) if final else max(self._given_to, self._certain_to()))

    def _give(self, end: int) -> str:
        piece = self.text[self._given_to : end]
        self._given_to = end
        return piece

    # ------------------------------------------------------------ inside

    def _understand(self, *, final: bool) -> None:
        while self._raw:
            opening = next((i for i, c in enumerate(self._raw) if c in OPENING), -1)
            if opening < 0:
                self._append(self._raw)
                self._raw = ""
                return
            self._append(self._raw[:opening])
            self._raw = self._raw[opening:]
            closing = next((i for i, c in enumerate(self._raw) if c in CLOSING), -1)
            if closing < 0 and len(self._raw) <= MAX_MARKER and not final:
                return
            candidate = self._raw[: closing + 1]
            if 0 < closing < MAX_MARKER and MARKER.fullmatch(candidate):
                self._raw = self._raw[closing + 1 :]
                self._mark(candidate)
            else:
                self._append(self._raw[0])
                self._raw = self._raw[1:]

    def _append(self, text: str) -> None:
        if not self.text:
            text = text.lstrip()
        elif self._leading and self._leading[-1][0] == len(self.text):
            text = text.lstrip(" ")  # the space behind a marker that is moved to the end of its sentence
        self.text += text
        self._shadow += text

    def _mark(self, marker: str) -> None:
        passages = numbers_in(marker)
        known = [n for n in passages if self._bibliography.known(n)]
        if len(known) < len(passages) and marker not in self.removed:
            self.removed.append(marker)
        if not known:
            # What stood before a marker that is gone must not leave a hole; white space at the end is never given yet.
            trimmed = max(len(self.text.rstrip(" ")), self._given_to)
            self.text, self._shadow = self.text[:trimmed], self._shadow[:trimmed]
            return
        claim = self._current_claim()
        if not claim:
            self._leading += [(len(self.text), n) for n in known]
            return
        for passage in known:
            number = self._bibliography.cite(passage, claim)
            glue = "" if not self.text or self.text[-1].isspace() or self._ends_in_mark() else " "
            start = len(self.text) + len(glue)
            self.text += f"{glue}[{number}]"
            self._shadow += " " * (len(self.text) - len(self._shadow))
            self._marks.append(_Mark(start, len(self.text), number))

    def _ends_in_mark(self) -> bool:
        return bool(self._marks) and self._marks[-1].end == len(self.text)

    def _current_claim(self) -> str:
        """What stands since the last end of sentence; empty at the start of a line."""
        open_text = self._shadow[self._closed_to :]
        spans = sentence_spans(open_text)
        if not spans or "\n" in open_text[spans[-1][1] :]:
            return ""
        return " ".join(open_text[slice(*spans[-1])].split())

    def _closed(self, start: int, end: int, reach: int, marks: list[_Mark], last: bool) -> ClosedSentence:
        self._closed_to = reach
        sentence = ClosedSentence(
            start=start,
            end=end,
            text=self.text[start:end],
            claim=" ".join(self._shadow[start:end].split()),
            markers=list(dict.fromkeys(m.number for m in marks)),
        )
        mine = [n for at, n in self._leading if at <= start or last]
        self._leading = [] if last else [(at, n) for at, n in self._leading if at > start]
        self.cite(sentence, mine)
        return sentence

    def _certain_to(self) -> int:
        """Up to where the text can no longer change."""
        end = len(self.text.rstrip())
        tail = self._shadow[self._closed_to : end]
        # Behind the last white space stands a word that may not be complete; before it, perhaps, an end of sentence.
        space = max(tail.rfind(c) for c in " \n\t")
        if space >= 0 and not self._decided(tail, space):
            return self._closed_to + len(tail[:space].rstrip())
        return end

    def _decided(self, tail: str, space: int) -> bool:
        """Whether the white space at ``space`` surely does not follow the end of a sentence."""
        before = tail[:space].rstrip()
        return (
            bool(before)
            and "\n" not in tail[len(before) : space + 1]
            and (before[-1].isalnum() or before[-1] in ",;-–")
        )
