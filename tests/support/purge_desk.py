"""All that a purge looks through, without a server: documents, jobs with their files, conversations and traces."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from app.chats import Chats
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.people import users
from app.traces import Traces
from app.upkeep.purge import Purged, RecentPurges, purge
from core.clock import now_iso
from core.ids import document_id, new_id
from core.types import Principal
from ingest import ledger_people
from ingest.job import Job
from ingest.ledger import Ledger
from retrieval.engine import SearchEngine
from retrieval.store import Store
from tests.support.library import LOCAL, Library, library_parts

Fate = Literal["ready", "failed", "cancelled", "paused", "at work"]


class PurgeDesk:
    def __init__(self, lib: Library, ledger: Ledger) -> None:
        self.lib = lib
        self.ledger = ledger
        self.chats = Chats(lib.database)
        self.traces = Traces(lib.database)

    def person(self, name: str) -> Principal:
        with self.lib.database.write() as connection:
            row = {"user_id": name, "name": name, "login": name, "is_admin": False, "created_at": now_iso()}
            connection.execute(users.insert().values(row))
        return Principal(user_id=name)

    def create(self, collection: str, owner: Principal = LOCAL) -> None:
        """Later than all that was before, by the clock too."""
        time.sleep(0.002)
        self.lib.create(collection, owner.user_id)

    def upload(self, collection: str, name: str, text: str, fate: Fate) -> Job:
        """A file that is kept, with the job that it came to."""
        store, database = self.lib.store, self.lib.database
        sha256, size = store.originals.put_stream([text.encode()], 10**6)
        with database.write() as connection:
            job = self.ledger.add(
                connection, principal=LOCAL, collection=collection, file=name, uri=name, sha256=sha256, size=size,
                chunker="fixed",
            )  # fmt: skip
            match fate:
                case "failed":
                    self.ledger.fail(connection, job.job_id, "it cannot be read")
                case "cancelled":
                    ledger_people.request_cancel(connection, LOCAL, job.job_id)
                case "paused":
                    ledger_people.pause(connection, LOCAL, job.job_id)
                case _:
                    self.ledger.claim(connection, "w")
        store.originals.release(sha256)
        if fate == "ready":
            self.lib.put(collection, name, text)
            made = {"doc_id": document_id(collection, name), "pages": 1, "chunks": 1, "seconds": 1.0}
            with database.write() as connection:
                self.ledger.finish(connection, job.job_id, **made)  # type: ignore[arg-type]
        return job

    def told(self, who: Principal, collection: str, name: str, question: str, quote: str, chat_id: str = "") -> str:
        """A question that was answered by a quote of a file, with the run's trace; returns the conversation."""
        if not chat_id:
            chat_id = self.chats.create(who, title="", collections=[collection], strategy="extract").chat_id
        run_id, doc_id = new_id("r"), document_id(collection, name)
        cited = {"n": 1, "doc_id": doc_id, "title": name, "start": 0, "end": len(quote), "quote": quote}
        sentence = {"text": quote, "start": 0, "end": len(quote), "verdict": "supported", "citations": [1]}
        answer: dict[str, Any] = {
            "answer": quote, "abstained": False, "reason": "", "sentences": [sentence], "citations": [cited],
            "hits": [], "run_id": run_id,
        }  # fmt: skip
        trace = {"run_id": run_id, "strategy": "extract", "question": question, "stop_reason": "answered"}
        self.traces.save(who, {**trace, "steps": [], "calls": [], "inputs": {}, "answer": answer})
        asked = self.chats.ask(who, chat_id, question)
        self.chats.answer(who, chat_id, asked, content=quote, answer=answer, run_id=run_id, searched={1})
        return chat_id

    def said(self, who: Principal, chat_id: str) -> list[str]:
        return [message.content for message in self.chats.messages(who, chat_id)]

    def purge(self, who: Principal, collection: str, name: str) -> Purged:
        return purge(
            who,
            document_id(collection, name),
            database=self.lib.database,
            store=self.lib.store,
            ledger=self.ledger,
            chats=self.chats,
            traces=self.traces,
            eval_sets=EvalSets(self.lib.database),
            eval_runs=EvalRuns(self.lib.database),
            engine=self.lib.engine,
            recent=RecentPurges(),
            data_dir=self.lib.data_dir,
        )


@contextmanager
def purge_desk(data_dir: Path) -> Iterator[PurgeDesk]:
    lib, ledger = library_parts(data_dir), Ledger()
    lib.store = Store(lib.database, data_dir / "originals", also_held=ledger.held_originals)
    lib.engine = SearchEngine(lib.store, lib.encoder, data_dir, lib.settings)
    lib.engine.open()
    try:
        yield PurgeDesk(lib, ledger)
    finally:
        lib.close()
