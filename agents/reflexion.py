"""Reflexion (Shinn et al. 2023): try, evaluate, reflect in words, try again with at most the last three reflections.

The authors' released code stops on the gold answer. This one never sees it: its evaluator is the verifier and what the attempt
itself shows: an abstention, sentences that the passages do not support, errors of tools, a limit. Each attempt is a ReAct loop.
The best attempt is given in the end: an answer before none, then by the share of its sentences that are supported.

Reflections on earlier questions of the same conversation (``Kit.notes``) stand before every attempt, apart from those on this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.abstain import is_abstention
from agents.desk import AtDesk, Desk, Kit
from agents.react import PROMPTS, Attempt, by_text, by_tool_calls, conclude, unknown
from agents.support import support_of
from core.errors import LimitReached
from core.types import Message

PROMPT = "reflect.j2"
TRIALS, KEPT = 3, 3
_REFLECTION_TOKENS = 128
_TRANSCRIPT_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the evaluator says of an attempt. ``score`` orders attempts; ``feedback`` is what the model is told."""

    passed: bool
    score: float
    feedback: str


def reflexion(kit: Kit, *, native: bool = False, trials: int = TRIALS) -> AtDesk:
    """The strategy."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        reflections: list[str] = []
        best: tuple[Evaluation, Attempt] | None = None
        for trial in range(1, trials + 1):
            attempt = await (by_tool_calls if native else by_text)(desk, reflections=tuple(reflections[-KEPT:]))
            began = desk.recorder.now_s()
            evaluation = await desk.kit.offload(evaluate, desk, attempt)
            desk.step("reflect", thought=f"Attempt {trial} of {trials}: {evaluation.feedback}", started_s=began)
            if best is None or evaluation.score > best[0].score:
                best = evaluation, attempt
            if evaluation.passed or trial == trials:
                break
            try:
                reflections.append(await _reflect(desk, attempt, evaluation, reflections))
            except LimitReached as e:
                best[1].limit = best[1].limit or e.message
                break
        if best is not None:
            if best[0].passed:
                best[1].limit = ""
            await conclude(desk, best[1])

    return AtDesk("reflexion", loop, kit, (PROMPT, *PROMPTS), calls_outside=native)


def evaluate(desk: Desk, attempt: Attempt) -> Evaluation:
    """Judges an attempt by what can be known without the right answer. Calls the verifier, so it may take a while."""
    if attempt.answer is None or not attempt.answer.strip():
        return Evaluation(passed=False, score=0.0, feedback=f"No answer was given. {attempt.why}".strip())
    if unknown(attempt.answer) or is_abstention(attempt.answer):
        return Evaluation(
            passed=False, score=0.1, feedback="It ended with “I don't know”, though more could be searched."
        )
    claims = support_of(attempt.answer, desk.hits, desk.kit.verifier)
    supported = sum(c.verdict.label == "supported" for c in claims)
    share = supported / len(claims) if claims else 0.0
    problems = [f"“{c.text}” is {c.verdict.label} by the passages" for c in claims if c.verdict.label != "supported"]
    if not claims:
        problems.append("the answer states nothing that could be checked")
    if attempt.errors:
        problems.append(f"an action failed: {attempt.errors[-1]}")
    if not claims or supported < len(claims):
        said = "; ".join(problems)
        return Evaluation(passed=False, score=0.2 + 0.7 * share, feedback=f"The answer does not hold: {said}.")
    return Evaluation(passed=True, score=1.0, feedback="Every sentence of the answer is supported.")


async def _reflect(desk: Desk, attempt: Attempt, evaluation: Evaluation, before: Sequence[str]) -> str:
    began = desk.recorder.now_s()
    desk.budget.take_step()
    transcript = attempt.transcript[-_TRANSCRIPT_CHARACTERS:].strip()
    prompt = desk.kit.prompts.render(
        PROMPT,
        mark=desk.mark,
        question=desk.question,
        transcript=transcript,
        feedback=evaluation.feedback,
        reflections=before[-KEPT:],
    )
    said = await desk.ask(prompt, stop=("\n\n",), max_tokens=_REFLECTION_TOKENS)
    reflection = " ".join(said.text.split())
    desk.step("reflect", thought=reflection, note=bool(reflection), usage=said.usage, started_s=began)
    return reflection
