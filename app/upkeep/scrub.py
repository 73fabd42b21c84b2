"""Finds what is left of one document in texts that people and models wrote about it, and takes it out.

    a hit or a citation of it          its words are replaced
    a sentence that cites it           replaced as a whole: a paraphrase says it, too
    a step of a run that read it       its free text is replaced
    the recording of such a run        is dropped: every prompt and every word of the model may say it
    five words in a row of it          replaced wherever they stand, as are its title and its name
    a word that only it has            replaced wherever it stands: a code, a rare name

It knows the shapes of answers and traces (``app.shapes``) and nothing of where they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from app.chats import PURGED

MARKER = PURGED
RUN_WORDS = 5
_MIN_PHRASE = 6  # characters of a title or name that is looked for
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\S+")
_EDGES = "\"'`“”‘’«»()[]{}<>.,;:!?…*#|"
NAMES = ("title", "uri")  # of the document, unlike what it says
_OWN_WORDS = ("quote", "text", *NAMES, "heading_path", "snippet", "content")
# Whose values are ours, whatever a document is called: a file "extract.txt" is not what strategy "extract" says.
_OURS = ("strategy", "verdict", "kind", "stop_reason", "role", "finish_reason", "source", "run_id", "chunk_id", "model")
_STEP_WORDS = ("thought", "observation", "error")

IsPeculiar = Callable[[str], bool]


def own_words(value: Any, doc_id: str) -> Iterator[tuple[str, str]]:
    """(key, text) of what an answer or a trace, as JSON, quotes of a document: passages, quotations, titles."""
    if isinstance(value, Mapping):
        if value.get("doc_id") == doc_id:
            yield from ((key, value[key]) for key in _OWN_WORDS if isinstance(value.get(key), str) and value[key])
        for inner in value.values():
            yield from own_words(inner, doc_id)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from own_words(inner, doc_id)


class Scrub:
    """Of one document.

    Args:
        names: its title and its name.
        is_peculiar: whether a word of it is one that nothing else explains; asked once for each.
    """

    def __init__(self, doc_id: str, text: str, names: Sequence[str], is_peculiar: IsPeculiar) -> None:
        self.doc_id = doc_id
        self._is_peculiar = is_peculiar
        self._asked: dict[str, bool] = {}
        words = [m.group().casefold() for m in _WORD.finditer(text)]
        self._runs = {hash(tuple(words[i : i + RUN_WORDS])) for i in range(len(words) - RUN_WORDS + 1)}
        self._words = set(words) | {m.group().strip(_EDGES).casefold() for m in _TOKEN.finditer(text)}
        phrases = sorted({n for n in names if len(n) >= _MIN_PHRASE}, key=len, reverse=True)
        self._phrases = re.compile("|".join(map(re.escape, phrases)), re.IGNORECASE) if phrases else None

    # ------------------------------------------------------------ text

    def text(self, text: str) -> str:
        """``text`` without what is the document's."""
        spans = [m.span() for m in self._phrases.finditer(text)] if self._phrases else []
        spans += self._run_spans(text)
        for m in _TOKEN.finditer(text):
            if self._peculiar(m.group().strip(_EDGES)):
                spans.append(m.span())
        spans += [m.span() for m in _WORD.finditer(text) if self._peculiar(m.group())]
        return _replaced(text, spans) if spans else text

    def _run_spans(self, text: str) -> list[tuple[int, int]]:
        found = list(_WORD.finditer(text))
        words = [m.group().casefold() for m in found]
        return [
            (found[i].start(), found[i + RUN_WORDS - 1].end())
            for i in range(len(words) - RUN_WORDS + 1)
            if hash(tuple(words[i : i + RUN_WORDS])) in self._runs
        ]

    def _peculiar(self, word: str) -> bool:
        word = word.casefold()
        if word not in self._words:
            return False
        if word not in self._asked:
            self._asked[word] = self._is_peculiar(word)
        return self._asked[word]

    # ------------------------------------------------------------ answers and traces

    def touches(self, value: Any) -> bool:
        """Whether a hit or citation of the document is anywhere in it."""
        if isinstance(value, Mapping):
            return value.get("doc_id") == self.doc_id or any(map(self.touches, value.values()))
        if isinstance(value, list | tuple):
            return any(map(self.touches, value))
        return isinstance(value, str) and self.doc_id in value

    def clean(self, value: Any) -> Any:
        """The same JSON without what is the document's."""
        return self._clean(value, self.touches(value))

    def _clean(self, value: Any, touched: bool) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._clean(v, touched) for v in value]
        if not isinstance(value, Mapping):
            return value
        if value.get("doc_id") == self.doc_id:
            return {k: MARKER if k in _OWN_WORDS and v else v for k, v in value.items()} | _no_headings(value)
        if "doc_id" in value:
            return dict(value)  # another document's own words, whatever they share with this one's
        if isinstance(value.get("sentences"), list) and isinstance(value.get("answer"), str):
            value = self._answer(value) if _named(value["sentences"]) else self._measured(value)
        if "calls" in value and "steps" in value:
            value = {**value, "calls": [], "inputs": {}} if touched else self._recording(value)
        if touched and "kind" in value and "observation" in value:
            value = {**value, **{k: MARKER for k in _STEP_WORDS if value.get(k)}, "tool_call": None}
        return {k: v if k in _OURS and isinstance(v, str) else self._clean(v, touched) for k, v in value.items()}

    def _answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """An answer whose sentences that cite the document are replaced, the offsets of the others moved along."""
        gone = {c["n"] for c in answer.get("citations", ()) if c.get("doc_id") == self.doc_id}
        text, moved, at, sentences = "", 0, 0, []
        for sentence in sorted(answer["sentences"], key=lambda s: int(s.get("start") or 0)):
            start, end = int(sentence.get("start") or 0), int(sentence.get("end") or 0)
            text += answer["answer"][at:start]
            new = MARKER if gone & set(sentence.get("citations", ())) else self.text(answer["answer"][start:end])
            kept = new == answer["answer"][start:end]
            sentences.append(
                {
                    **sentence,
                    "text": sentence.get("text", "") if kept else new,
                    "start": start + moved,
                    "end": start + moved + len(new),
                }
            )
            if not kept:
                sentences[-1] |= {"reason": MARKER} if sentence.get("reason") else {}
            text, moved, at = text + new, moved + len(new) - (end - start), end
        found = {**answer, "answer": text + answer["answer"][at:], "sentences": sentences}
        if answer.get("conflicts"):
            found["conflicts"] = [
                {**c, "text": MARKER} if gone & set(c.get("citations", ())) else c for c in answer["conflicts"]
            ]
        if answer.get("reason") and self.touches(answer):
            found["reason"] = MARKER  # what "the passage says" instead may be a mere number
        return found

    def _measured(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """An answer as evaluations keep it: of its sentences the places alone, (start, end, verdict)."""
        named = [{"start": start, "end": end, "verdict": verdict} for start, end, verdict in row["sentences"]]
        found = self._answer({**row, "sentences": named})
        return {**found, "sentences": [[s["start"], s["end"], s["verdict"]] for s in found["sentences"]]}

    def _recording(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        """A trace of which what the model said, kept in pieces, is cleaned as the text that it is."""
        calls = []
        for call in trace["calls"]:
            response = call.get("response") or {}
            said = "".join(piece[0] for piece in response.get("pieces", ()))
            if (new := self.text(said)) != said:
                call = {**call, "response": {**response, "pieces": [[new, None]]}}
            calls.append(call)
        return {**trace, "calls": calls}


def _named(sentences: Sequence[Any]) -> bool:
    return all(isinstance(sentence, Mapping) for sentence in sentences)


def _no_headings(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"heading_path": []} if "heading_path" in value else {}


def _replaced(text: str, spans: list[tuple[int, int]]) -> str:
    """``text`` with the marker in place of the spans, those that touch or overlap made one."""
    out, at = "", 0
    joined: list[list[int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        out += text[at:start] + MARKER
        at = end
    return out + text[at:]
