"""What becomes of a question before it is searched: made standalone, imagined answers to, taken apart. Each is a switch.

Strategies search with ``QueryPlan.beside.around(retriever)`` as with any other; what was done stands in the trace as steps of kind "plan".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from agents import decompose, hyde
from agents.followup import standalone_by_rule
from agents.limits import Budget
from agents.prompts import Prompts
from agents.pushback import is_pushback, objected_to
from agents.rewrite import CONDENSE_PROMPTS, rewrite
from agents.run import Recorder
from core.errors import InvalidRequest, ModelUnavailable
from core.events import Event
from core.protocols import LanguageModel, Retriever, expanding
from core.types import Hit, Message, Usage, Where
from core.wording import shortened

Rewriting = Literal["off", "rule", "lm"]

_PART_DEPTH = 100  # passages of each part's list that are fused
_SHOWN = 120  # characters of an imagined passage in a trace


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySide:
    """The switches. ``hyde`` is how many passages are imagined; 0 is off."""

    rewrite: Rewriting = "rule"
    hyde: int = 0
    decompose: bool = False

    def __post_init__(self) -> None:
        if self.rewrite not in get_args(Rewriting):
            raise InvalidRequest(f"unknown rewriting {self.rewrite!r}: choose {', '.join(get_args(Rewriting))}")
        if self.hyde < 0:
            raise InvalidRequest(f"hyde = {self.hyde}: 0 is off, else it is a number of passages")

    def needs_lm(self, *, history: bool) -> bool:
        """Whether the language model is asked before searching."""
        return bool(self.hyde) or self.decompose or (history and self.rewrite == "lm")

    @property
    def tokens(self) -> int:
        """The most tokens that are said before searching, rewriting left out."""
        return self.hyde * hyde.PASSAGE_TOKENS + (decompose.PARTS_TOKENS if self.decompose else 0)

    def prompts(self) -> tuple[str, ...]:
        """The files that are used, for a trace's hash."""
        return (
            *(CONDENSE_PROMPTS if self.rewrite == "lm" else ()),
            *((hyde.PROMPT,) if self.hyde else ()),
            *(decompose.DECOMPOSE_PROMPTS if self.decompose else ()),
        )


class PlannedRetriever:
    """A ``core.protocols.Retriever`` that also searches for what was imagined, and for each part of the question."""

    def __init__(self, retriever: Retriever, *, passages: Sequence[str] = (), parts: Sequence[str] = ()) -> None:
        """Raises InvalidRequest if there are passages, and ``retriever`` cannot search with them."""
        self._expanding = expanding(retriever) if passages else None
        self._retriever = retriever
        self._passages = tuple(passages)
        self._parts = tuple(parts)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """As the retriever's own, with ``query`` as the whole question."""
        if not self._parts:
            return self._whole(query, k, where)
        depth = max(k, _PART_DEPTH)
        lists = [self._whole(query, depth, where)]
        lists += [self._retriever.search(part, depth, where) for part in self._parts]
        return decompose.fuse(lists, k)

    def _whole(self, query: str, k: int, where: Where) -> list[Hit]:
        if self._expanding is not None:
            return self._expanding.search_expanded(query, self._passages, k, where)
        return self._retriever.search(query, k, where)


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What is looked for beside the question: near ``passages`` that were imagined, and for each of its ``parts``."""

    passages: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    def around(self, retriever: Retriever) -> Retriever:
        """``retriever``, looking for all of it. Raises InvalidRequest if it cannot look near passages."""
        if not self.passages and not self.parts:
            return retriever
        return PlannedRetriever(retriever, passages=self.passages, parts=self.parts)


class QueryPlan:
    """One question on its way to the search: ``standalone`` is what is searched for, and ``beside`` what else."""

    def __init__(self, question: str, side: QuerySide, lm: LanguageModel | None, prompts: Prompts) -> None:
        self.standalone = question
        self.objection = ""  # what the person said, where that was no question but an objection to the last answer
        self.objected = ""  # that answer
        self.beside = SearchPlan()
        self._side = side
        self._lm = lm
        self._prompts = prompts

    async def steps(
        self, recorder: Recorder, history: Sequence[Message], budget: Budget
    ) -> AsyncGenerator[Event, None]:
        """Does what the switches say.

        Raises:
            ModelUnavailable: one of them needs a language model, and there is none.
            LimitReached: see ``agents.limits``.
        """
        if is_pushback(self.standalone, history):
            said = next(m.content for m in reversed(history) if m.role == "assistant" and m.content.strip())
            again, history = objected_to(history)
            if again:
                self.objection, self.objected, self.standalone = self.standalone, said, again
                yield recorder.step("plan", thought=f"An objection, no evidence: asked again is: {again}")
        if history:
            async for event in self._rewritten(recorder, history, budget):
                yield event
        passages: tuple[str, ...] = ()
        parts: tuple[str, ...] = ()
        if self._side.hyde:
            began = recorder.now_s()
            passages, usage = await hyde.imagine(
                self.standalone, self._model("hyde"), self._prompts, budget, n=self._side.hyde
            )
            yield recorder.step("plan", thought=_imagined(passages), usage=usage, started_s=began)
            yield recorder.count(usage)
        if self._side.decompose:
            began = recorder.now_s()
            parts, usage = await decompose.sub_questions(
                self.standalone, self._model("decompose"), self._prompts, budget
            )
            thought = (
                "Searched in parts: " + " | ".join(parts) if parts else "Searched as one question: no parts found."
            )
            yield recorder.step("plan", thought=thought, usage=usage, started_s=began)
            yield recorder.count(usage)
        self.beside = SearchPlan(passages, parts)

    async def _rewritten(
        self, recorder: Recorder, history: Sequence[Message], budget: Budget
    ) -> AsyncGenerator[Event, None]:
        asked, began, usage = self.standalone, recorder.now_s(), Usage()
        match self._side.rewrite:
            case "off":
                return
            case "rule":
                self.standalone = standalone_by_rule(asked, history)
                if self.standalone == asked:
                    return
            case "lm":
                self.standalone, usage = await rewrite(asked, history, self._model("rewrite"), self._prompts, budget)
        yield recorder.step(
            "plan", thought=f"Read as a follow-up, asked as: {self.standalone}", usage=usage, started_s=began
        )
        if usage != Usage():
            yield recorder.count(usage)

    def _model(self, switch: str) -> LanguageModel:
        if self._lm is None:
            raise ModelUnavailable(f"{switch} needs a language model, and there is none: turn it off, or load one")
        return self._lm


def _imagined(passages: Sequence[str]) -> str:
    if not passages:
        return "Imagined no passage: no tokens were left for it, or the model said nothing."
    first = shortened(passages[0], _SHOWN)
    return f"Imagined {len(passages)} passages that might answer, to search near them. The first: {first}"
