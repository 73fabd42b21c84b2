"""A language model as judge: the rules first, then a verdict in JSON with the words that decide it.

    rules ─ decided ─▶ verdict
      │
    model ─▶ {"verdict", "quote"} ─ of no use ─▶ asked again, at most ``TRIES`` times in all ─▶ the other verifier's verdict
      │
    "supported" needs a quote that stands in the passages; without one the reply is of no use

The judge has a model of its own and an event loop of its own: the answer that it judges may still be streaming from the other,
which may serve one stream at a time. Replies of no use are counted.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agents.context import inert
from agents.limits import Budget
from agents.prompts import Prompts
from agents.saying import say
from agents.verify.cascade import Thresholds, conclude, screen
from agents.verify.quotes import is_quotation
from agents.verify.reading import excerpt
from agents.verify.rules import examine
from core.errors import LimitReached
from core.json_replies import TRIES, Json, Shape, ask_json
from core.offload import OwnLoop
from core.protocols import LanguageModel, Verifier
from core.types import Limits, Message, SamplingParams, Verdict
from core.wording import shortened

SYSTEM, USER = "verdict_system.j2", "verdict_user.j2"
MAX_TOKENS = 160  # of one reply
_MAX_SECONDS = 60.0  # for one claim
_CHARACTERS = (6000, 3000, 1200, 500)  # of the evidence; less where the model reads less
_KEPT = 512  # verdicts remembered, so that the same claim is not asked twice
# What a verdict in words is worth as a score: it has no probability.
_SCORES = {"supported": 0.95, "partial": 0.4, "contradicted": 0.02, "unsupported": 0.1}
_AT = Thresholds(supported=0.5, partial=0.25)
SHAPE = Shape(
    {
        "type": "object",
        "properties": {"verdict": {"enum": list(_SCORES)}, "quote": {"type": "string"}},
        "required": ["verdict", "quote"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCounts:
    """``unused``: replies of no use; ``given_up``: claims that were left to the other verifier."""

    asked: int = 0
    unused: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    label: str
    quote: str


def read_ruling(said: Json, texts: Sequence[str]) -> Ruling | str:
    """What an object of ``SHAPE`` decides, or why it is of no use.

    Args:
        texts: the passages, in which a quote must stand.
    """
    label, quote = said["verdict"], said["quote"]
    stands = bool(quote.strip()) and any(is_quotation(quote, t) for t in texts)
    if label in ("supported", "contradicted") and not stands:
        return "its quote does not stand in the passages"
    return Ruling(label=label, quote=quote if stands else "")


class JudgeVerifier:
    """A ``core.protocols.Verifier``. Building it does nothing; the first use loads. Thread-safe; asks one thing at a time.

    Args:
        model: gives the judge's own model, loaded.
        otherwise: judges where the model gives no verdict.
        prompts: None is the shipped ones.
        tries: replies asked for, for one claim.
        held: whether the model is held to the shape of its reply where it can be. Not one that is too small to judge: it would then always give a
            verdict, and its silence is better (docs/decisions/0241).
    """

    def __init__(
        self,
        model: Callable[[], LanguageModel],
        otherwise: Verifier,
        *,
        prompts: Prompts | None = None,
        tries: int = TRIES,
        held: bool = True,
    ) -> None:
        self._model = model
        self._otherwise = otherwise
        self._prompts = prompts or Prompts()
        self._tries = tries
        self._held = held
        self._lock = threading.Lock()
        self._loop = OwnLoop("judge")
        self._lm: LanguageModel | None = None
        self._known: OrderedDict[str, Ruling | None] = OrderedDict()
        self.counts = JudgeCounts()

    @property
    def threshold(self) -> float:
        """The score from which a claim is called supported."""
        return _AT.supported

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        """As ``RuleVerifier.check``; raises what the model raises where it cannot be had."""
        screened = screen(claim, evidence)
        if isinstance(screened, Verdict):
            return screened
        findings = examine(screened.claim, "\n\n".join(screened.texts)).findings
        # What the rules forbid needs no judge.
        ruled = conclude(1.0, findings, _AT, why="")
        if ruled.label != "supported":
            return ruled
        ruling, name = self._ruling(screened.claim, screened.texts)
        if ruling is None:
            verdict = self._otherwise.check(claim, evidence)
            return replace(verdict, reason=f"{name} gave no verdict in {self._tries} tries; {verdict.reason}")
        why = f"{name} calls it {ruling.label}" + (f": “{shortened(ruling.quote, 120)}”" if ruling.quote else "")
        score = _SCORES[ruling.label]
        if ruling.label == "contradicted":
            return Verdict(label="contradicted", score=score, reason=why)
        return replace(conclude(score, findings, _AT, why=why), reason=why)

    def _ruling(self, claim: str, texts: Sequence[str]) -> tuple[Ruling | None, str]:
        key = hashlib.sha256("\0".join((claim, *texts)).encode("utf-8", "surrogatepass")).hexdigest()
        with self._lock:
            if self._lm is None:
                self._lm = self._model()
            if key not in self._known:
                self._known[key] = self._loop.run(self._ask(self._lm, claim, texts, f"DATA-{key[:8]}"))
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            return self._known[key], self._lm.name

    async def _ask(self, lm: LanguageModel, claim: str, texts: Sequence[str], mark: str) -> Ruling | None:
        budget = Budget(Limits(max_seconds=_MAX_SECONDS))

        async def ask(messages: Sequence[Message], params: SamplingParams) -> str:
            said, _ = await say(lm, messages, params, budget)
            self.counts = replace(self.counts, asked=self.counts.asked + 1)
            return said

        found: Ruling | None = None
        before = self.counts.asked
        try:
            heard = await ask_json(
                SHAPE,
                lm,
                lambda trouble: self._messages(lm, claim, texts, mark, trouble),
                lambda said: read_ruling(said, texts),
                ask,
                SamplingParams(max_tokens=MAX_TOKENS),
                tries=self._tries,
                held=self._held,
            )
            found = heard.value
        except LimitReached:
            pass  # nothing more is asked about this claim
        unused = self.counts.asked - before - (found is not None)
        given_up = self.counts.given_up + (found is None)
        self.counts = replace(self.counts, unused=self.counts.unused + unused, given_up=given_up)
        return found

    def _messages(
        self, lm: LanguageModel, claim: str, texts: Sequence[str], mark: str, trouble: str
    ) -> list[Message] | None:
        """The prompt with as much of the evidence as the model reads; None where that is too little."""
        for most in _CHARACTERS:
            shown = [inert(excerpt(claim, t, max(200, most // len(texts))), mark) for t in texts]
            messages = [
                Message(role="system", content=self._prompts.render(SYSTEM, mark=mark)),
                Message(
                    role="user",
                    content=self._prompts.render(
                        USER, mark=mark, passages=shown, claim=inert(claim, mark), trouble=trouble
                    ),
                ),
            ]
            if lm.count_tokens(messages) + MAX_TOKENS <= lm.context_tokens:
                return messages
        return None
