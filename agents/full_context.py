"""Answers from whole documents: everything that the question may read, if it fits what the model reads at once.

The documents are those that the best passages come from, whole and in reading order, most relevant first, for as long as
they fit. If not even the first fits it is said so, and the passages that were found are read instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents import context
from agents.desk import AtDesk, Desk, Kit
from core.errors import InvalidRequest
from core.types import Hit, Message

_MOST_DOCUMENTS = 8
_SHARE_FOR_ANSWER = 4  # the answer may have a quarter of the context, as in agents.rag


def full_context(kit: Kit) -> AtDesk:
    """The strategy."""
    return AtDesk("full-context", _loop, kit, (context.SYSTEM, context.USER))


async def _loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
    await desk.open(question, history)
    desk.budget.take_step()
    found = await desk.search(desk.question, max(_MOST_DOCUMENTS, desk.kit.k))
    if not found:
        await desk.read(desk.question, ())
        return
    began = desk.recorder.now_s()
    named = list(dict.fromkeys(h.chunk.doc_id for h in found))[:_MOST_DOCUMENTS]
    taken: list[Hit] = []
    n = 0
    for doc_id in named:
        work = desk.kit.offload(desk.kit.library.passages, doc_id, desk.where)
        passages = without_overlaps(await desk.budget.bounded(work))
        if not passages or not await desk.kit.offload(_fit, desk, [*taken, *passages]):
            break
        taken += passages
        n += 1
    if n:
        left = f"; {len(named) - n} more did not fit" if n < len(named) else ""
        desk.step("plan", thought=f"Read whole: {n} of the {len(named)} documents found{left}.", started_s=began)
        await desk.read(desk.question, taken)
        return
    why = (
        f"The best document does not fit whole into the {desk.kit.lm.context_tokens} tokens that the model reads at "
        "once: the best passages are read instead."
    )
    desk.step("plan", thought=why, error="the whole document does not fit", started_s=began)
    await desk.read(desk.question, found[: desk.kit.k])


def _fit(desk: Desk, passages: Sequence[Hit]) -> bool:
    size = desk.kit.lm.context_tokens
    if sum(h.chunk.n_tokens for h in passages) > 2 * size:
        return False  # without counting a whole book's tokens
    try:
        shown = context.fit(
            desk.question,
            passages,
            prompts=desk.kit.prompts,
            mark=desk.mark,
            count_tokens=desk.kit.lm.count_tokens,
            room=size - max(128, min(desk.kit.max_answer_tokens, size // _SHARE_FOR_ANSWER)),
        )
    except InvalidRequest:  # not even a part of one passage
        return False
    return not shown.dropped and not shown.shortened


def without_overlaps(passages: Sequence[Hit]) -> list[Hit]:
    """Passages in reading order, without those whose text the ones before hold already."""
    taken: list[Hit] = []
    reach = -1
    for hit in passages:
        if hit.chunk.end > reach:
            taken.append(hit)
            reach = hit.chunk.end
    return taken
