"""Questions of a data set put to the server, for `openbook eval qa --collection`.

A collection belongs to whoever holds the data directory, so it is asked over HTTP like by everyone else.
"""

from __future__ import annotations

from app.client import Client
from app.replies import Answer as AnswerReply
from core.offload import Offload
from core.types import Answer, Chunk, Citation, Hit, Sample, Sentence, StagePart, Trace, Usage
from eval.qa import AnswerOne


def answer_through(client: Client, collection: str, strategy: str, offload: Offload) -> AnswerOne:
    """A function from a question to the server's answer, reading ``collection``."""

    async def answer(sample: Sample) -> tuple[Answer, Trace]:
        reply = await offload(client.ask, sample.question, [collection], strategy=strategy)
        return answer_of(reply), trace_of(sample.question, reply)

    return answer


def answer_of(reply: AnswerReply) -> Answer:
    """The answer that a reply speaks of. A citation stands at the first sentence that bears its marker."""
    places: dict[int, tuple[int, int]] = {}
    for sentence in reply["sentences"]:
        for n in sentence["citations"]:
            places.setdefault(n, (sentence["start"], sentence["end"]))
    return Answer(
        text=reply["answer"],
        abstained=reply["abstained"],
        reason=reply["reason"],
        run_id=reply["run_id"],
        logprob=reply.get("logprob"),
        sentences=tuple(
            Sentence(
                text=s["text"],
                start=s["start"],
                end=s["end"],
                verdict=s["verdict"],
                score=s["score"],
                reason=s["reason"],
                citations=tuple(s["citations"]),
            )
            for s in reply["sentences"]
        ),
        citations=tuple(
            Citation(
                marker=c["n"],
                chunk_id=c["chunk_id"],
                doc_id=c["doc_id"],
                title=c["title"],
                page=c["page"],
                start=c["start"],
                end=c["end"],
                quote=c["quote"],
                answer_start=places.get(c["n"], (0, 0))[0],
                answer_end=places.get(c["n"], (0, 0))[1],
                verdict=c["verdict"],
                score=c["score"],
            )
            for c in reply["citations"]
        ),
        hits=tuple(
            Hit(
                chunk=Chunk(
                    chunk_id=h["chunk_id"],
                    doc_id=h["doc_id"],
                    text=h["text"],
                    start=h["start"],
                    end=h["end"],
                    n_tokens=0,  # a reply does not say
                    page=h["page"],
                ),
                title=h["title"],
                collection=h["collection"],
                score=h["score"],
                rank=h["rank"],
                source=h["source"],
                parts={name: StagePart(rank=p["rank"], score=p["score"]) for name, p in h["parts"].items()},
            )
            for h in reply["hits"]
        ),
    )


def trace_of(question: str, reply: AnswerReply) -> Trace:
    """What a reply says of its run: no steps and no hashes, which are at /v1/traces/{run_id}."""
    usage = reply["usage"]
    return Trace(
        run_id=reply["run_id"],
        strategy=reply["strategy"],
        question=question,
        steps=(),
        answer=None,
        stop_reason="abstained" if reply["abstained"] else "answered",
        settings_hash="",
        prompt_hash="",
        index_version="",
        usage=Usage(prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"]),
        duration_s=reply["seconds"],
    )
