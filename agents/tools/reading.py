"""Search, lookup, read and outline: what a run may do in the collections that it was asked about, and nowhere else.

They share one ``Reading`` per run. ``lookup``, ``read`` and ``outline`` reach only documents of which this run's searches
found a passage, so that no document can send a model to one that the question did not lead to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.errors import ToolFailed
from core.text import fold, sentence_spans
from core.types import Hit, ToolResult, ToolSpec

if TYPE_CHECKING:
    from agents.desk import Desk

NEIGHBOURS = 1  # passages before and after, of ``read``
_MOST_HEADINGS = 60


def schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's arguments as JSON Schema; those with ``optional`` may be left out."""
    required = [name for name, p in properties.items() if not p.get("optional")]
    plain = {n: {k: v for k, v in p.items() if k != "optional"} for n, p in properties.items()}
    return {"type": "object", "properties": plain, "required": required, "additionalProperties": False}


class Reading:
    """What one run has open: the document of the last search's best passage, and where its last lookup stands."""

    def __init__(self, desk: Desk, k: int | None = None) -> None:
        self.desk = desk
        self.k = k
        self._open = ""  # doc_id
        self._keyword = ""
        self._results: list[tuple[Hit, str]] = []
        self._at = 0

    async def search(self, query: str) -> str:
        """The best passages, numbered, one a line; the first one's document is open then."""
        if not query.strip():
            raise ToolFailed("the query is empty: say what to look for")
        found = await self.desk.find(query, self.k)
        self._keyword, self._results, self._at = "", [], 0
        self._open = found[0].chunk.doc_id if found else ""
        if not found:
            return f"Nothing was found for {query!r}: use other words."
        return "\n".join(self.desk.shown(hit) for hit in found)

    async def lookup(self, string: str) -> str:
        """The next sentence of the open document that has ``string``: "(Result i / n) …"."""
        if not string.strip():
            raise ToolFailed("nothing to look up: say a word")
        if string != self._keyword:
            self._keyword, self._at = string, 0
            self._results = _containing(await self._passages(self._open), string) if self._open else []
        if self._at >= len(self._results):
            return "No more results." if self._open else "No document is open: search first."
        hit, sentence = self._results[self._at]
        self._at += 1
        shown = self.desk.inert(sentence)
        return f"(Result {self._at} / {len(self._results)}) [{self.desk.number(hit)}] {shown}"

    async def read(self, passage: int) -> str:
        """A passage with what stands before and after it in its document."""
        hit = self._numbered(passage)
        whole = await self._passages(hit.chunk.doc_id)
        at = next((i for i, h in enumerate(whole) if h.chunk.chunk_id == hit.chunk.chunk_id), None)
        if at is None:
            return self.desk.shown(hit)
        return "\n".join(self.desk.shown(h) for h in whole[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1])

    async def outline(self, passage: int) -> str:
        """The headings of a passage's document, in order."""
        hit = self._numbered(passage)
        whole = await self.document(passage)
        headings = list(dict.fromkeys(" › ".join(h.chunk.heading_path) for h in whole if h.chunk.heading_path))
        if not headings:
            return f"{self.desk.inert(hit.title)} has no headings; it has {len(whole)} passages."
        more = f" and {len(headings) - _MOST_HEADINGS} more" if len(headings) > _MOST_HEADINGS else ""
        return "; ".join(self.desk.inert(h) for h in headings[:_MOST_HEADINGS]) + more

    async def document(self, passage: int) -> Sequence[Hit]:
        """All passages of a passage's document, in reading order."""
        return await self._passages(self._numbered(passage).chunk.doc_id)

    def _numbered(self, passage: int) -> Hit:
        if not 1 <= passage <= len(self.desk.hits):
            known = f"1 to {len(self.desk.hits)}" if self.desk.hits else "none yet: search first"
            raise ToolFailed(f"there is no passage [{passage}]: there are {known}")
        return self.desk.hits[passage - 1]

    async def _passages(self, doc_id: str) -> Sequence[Hit]:
        kit = self.desk.kit
        return await self.desk.budget.bounded(kit.offload(kit.library.passages, doc_id, self.desk.where))


def _containing(passages: Sequence[Hit], string: str) -> list[tuple[Hit, str]]:
    """Sentences that have ``string`` in them, whatever its case; one that two overlapping passages share, once."""
    wanted = fold(string)
    found: list[tuple[Hit, str]] = []
    seen: set[int] = set()
    for hit in passages:
        for a, b in sentence_spans(hit.chunk.text):
            place = hit.chunk.start + a
            if place not in seen and wanted in fold(hit.chunk.text[a:b]):
                seen.add(place)
                found.append((hit, hit.chunk.text[a:b]))
    return found


class SearchTool:
    """A ``core.protocols.Tool``."""

    spec = ToolSpec(
        name="search",
        description="Finds the passages of the documents that fit a query best. Returns them numbered, as [n].",
        parameters=schema(query={"type": "string", "description": "what to look for, in words"}),
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(call_id="", content=await self._reading.search(arguments["query"]))


class LookupTool:
    """A ``core.protocols.Tool``."""

    spec = ToolSpec(
        name="lookup",
        description=(
            "The next sentence that has a word or phrase, in the document of the last search's best passage. Called again "
            "with the same words it gives the one after."
        ),
        parameters=schema(string={"type": "string", "description": "the word or phrase"}),
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(call_id="", content=await self._reading.lookup(arguments["string"]))


class ReadTool:
    """A ``core.protocols.Tool``."""

    spec = ToolSpec(
        name="read",
        description="A passage that was found, with the one before it and the one after it.",
        parameters=schema(passage={"type": "integer", "description": "its number, the n of [n]"}),
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(call_id="", content=await self._reading.read(arguments["passage"]))


class OutlineTool:
    """A ``core.protocols.Tool``."""

    spec = ToolSpec(
        name="outline",
        description="The headings of the document that a passage is from.",
        parameters=schema(passage={"type": "integer", "description": "the passage's number, the n of [n]"}),
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(call_id="", content=await self._reading.outline(arguments["passage"]))
