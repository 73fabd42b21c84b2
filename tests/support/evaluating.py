"""Evaluations as a server runs them, in this process and without HTTP: real services over a small collection, with an encoder that
costs nothing and a language model that says what a script says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.eval_asking import PATIENCE_S
from app.eval_configs import Configuration
from app.eval_results import EvalResult, read_result
from app.eval_runs import FINAL, EvalRun
from app.eval_sets import EvalSet
from app.evaluating import Evaluating
from app.server import open_services
from app.services import Services
from app.wiring import LoadableEncoder
from core.ids import document_id
from core.protocols import LanguageModel
from core.settings import Settings
from core.token_memory import TokenMemory
from eval.questions import Gold, MadeQuestion
from lm.queue import LMQueue
from retrieval.engine import SearchEngine
from retrieval.signature import signature_of
from tests.support.hash_encoder import HashEncoder
from tests.support.library import CHUNKER, LOCAL, make_document, migrated_database
from tests.support.word_overlap import OverlapVerifier


@dataclass
class Laboratory:
    services: Services
    collection: str = "c"
    patience_s: float = PATIENCE_S  # with a model server that is busy

    def put(self, uri: str, text: str) -> str:
        """Puts a document, or another text in its place; its id."""
        store, encoder = self.services.store, self.services.encoder
        document, chunks = make_document(self.collection, uri, text)
        with self.services.database.write() as connection:
            change = store.put_document(
                connection, document, chunks, encoder.encode_documents([c.text for c in chunks]), encoder.revision, CHUNKER,
                signature=signature_of(text),
            )  # fmt: skip
        self.services.engine.publish(change)
        return document.doc_id

    def asked(self, questions: Sequence[tuple[str, str, str]]) -> EvalSet:
        """A set of questions (question, answer, uri), each answered by the whole of its document; "" is none."""
        made = []
        for question, answer, uri in questions:
            gold: tuple[Gold, ...] = ()
            if uri:
                doc_id = document_id(self.collection, uri)
                found = self.services.store.get_document(LOCAL, doc_id)
                gold = (Gold(doc_id=doc_id, title=uri, start=0, end=len(found.text), sha256=found.sha256),)
            made.append(
                MadeQuestion(
                    question=question,
                    answers=(answer,) if answer else (),
                    answerable=True,
                    kind="uploaded",
                    gold=gold,
                    split="dev",
                )
            )
        return self.services.eval_sets.add(LOCAL, self.collection, "n", made, {})

    def start(self, of: EvalSet, *configurations: Configuration, n: int | None = None) -> EvalRun:
        """Lets an evaluation of the first ``n`` questions wait for its turn."""
        questions = self.services.eval_sets.questions(LOCAL, of.set_id)[:n]
        return self.services.eval_runs.start(LOCAL, of, questions, configurations)

    def result(self, run: EvalRun) -> EvalResult:
        return read_result(self.services.eval_runs, self.services.eval_sets, LOCAL, run.eval_id)

    def ended(self, run: EvalRun) -> EvalRun:
        """Runs what waits, until this one has ended."""

        async def go() -> EvalRun:
            async with self.running():
                return await self.until(run, lambda found: found.state in FINAL)

        return asyncio.run(go())

    def resumed(self, run: EvalRun) -> EvalRun:
        self.services.eval_runs.resume(LOCAL, run.eval_id)
        return self.ended(run)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As from the start of a server to its end."""
        self.services.evaluating = Evaluating(patience_s=self.patience_s)
        task = asyncio.create_task(self.services.evaluating.run(self.services))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, run: EvalRun, holds: Callable[[EvalRun], Any], timeout_s: float = 20.0) -> EvalRun:
        async with asyncio.timeout(timeout_s):
            while not holds(found := self.services.eval_runs.get(LOCAL, run.eval_id)):
                await asyncio.sleep(0.01)
        return found


@contextmanager
def laboratory(
    folder: Path, *, lm: LanguageModel | None = None, encoder: LoadableEncoder | None = None, **settings: Any
) -> Iterator[Laboratory]:
    migrated_database(folder).close()
    chosen = Settings(data_dir=folder, reranker="none", **settings)
    with open_services(chosen) as services:
        models = services.models
        if encoder is not None:
            models.encoders.keep(chosen, encoder)
        models.encoder = encoder or HashEncoder()
        models.reader = TokenMemory(models.encoder)
        models.verifier = OverlapVerifier()
        models.engine = SearchEngine(services.store, models.encoder, folder, chosen)
        models.engine.open()
        models.lm = None if lm is None else LMQueue(lm, max_waiting=4)
        with services.database.write() as connection:
            services.store.create_collection(connection, "c", LOCAL.user_id, tokens=False)
        yield Laboratory(services)
