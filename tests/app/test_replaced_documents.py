"""Replace a document and the next answer changes: no cache, of searches or vectors, serves what stood there before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agents.extract import ExtractStrategy
from agents.verify import RuleVerifier
from app.searching import SearchChoices, Searching
from core.events import RunDone
from core.offload import Offload
from core.types import Limits, Where
from tests.support.facts import FACTS
from tests.support.library import LOCAL, library


def test_a_hundred_replaced_documents_change_the_next_answer(tmp_path: Path) -> None:
    where = Where(principal=LOCAL, collections=("facts",))
    offload = Offload(1)
    with library(tmp_path) as lib:
        lib.create("facts")
        lib.put_many("facts", {f.document.doc_id: f.statement for f in FACTS}, words_per_chunk=40)
        searching = Searching(lib.settings)

        def found(question: str) -> str:
            return searching.search(lib.engine, question, 1, where, SearchChoices())[0].hits[0].chunk.text

        def answer(question: str) -> str:
            strategy = ExtractStrategy(
                retriever=lib.engine.retriever("bm25"),
                encoder=lib.encoder,
                verifier=RuleVerifier(),
                offload=offload,
                threshold=0.0,
                k=1,
                max_sentences=1,
            )

            async def run() -> str:
                async for event in strategy.run(question, history=(), limits=Limits(), where=where, run_id="r"):
                    if isinstance(event, RunDone):
                        return event.answer.text
                raise AssertionError("no end")

            return asyncio.run(run())

        before = {f.question: (found(f.question), answer(f.question)) for f in FACTS}
        assert [(f.question, before[f.question]) for f in FACTS if f.right not in before[f.question][1]] == []
        lib.put_many("facts", {f.document.doc_id: f.denial for f in FACTS}, words_per_chunk=40)
        for fact in FACTS:
            for text in (found(fact.question), answer(fact.question)):
                assert fact.denial in text
                assert fact.statement not in text
    offload.close()
