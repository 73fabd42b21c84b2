"""What a running server holds, built by ``app.wiring`` and handed to the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.approvals import Approvals
from app.audit import AuditLog
from app.calibrations import Calibrations
from app.chat_votes import ChatVotes
from app.chats import Chats
from app.credentials import Credentials
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.eval_votes import EvalVotes
from app.feedback import Feedback
from app.identity import Identity
from app.other_models import OtherModels
from app.pipelines import Encoders
from app.publishing import Publisher
from app.reindexing import Reindexing
from app.runs import Runs
from app.searching import Searching
from app.shared_chats import SharedChats
from app.telemetry import Telemetry
from app.traces import Traces
from app.turns import Turns
from app.upkeep.backup import BackupDesk
from app.upkeep.purge import RecentPurges
from core.database import Database
from core.errors import NotReady
from core.offload import Offload
from core.protocols import Encoder, NameFinder, Verifier
from core.settings import Settings
from core.token_memory import TokenMemory
from ingest.language import LanguageGuesser
from ingest.ledger import Ledger
from ingest.parse.sandbox import Sandbox
from lm.abilities import Abilities
from lm.queue import LMQueue
from retrieval.engine import SearchEngine
from retrieval.rerank.mixing import MixingReranker
from retrieval.store import Store

if TYPE_CHECKING:
    from app.evaluating import Evaluating  # which imports what imports this

LoadState = Literal["waiting", "loading", "ready", "failed", "off"]


@dataclass(slots=True)
class Loading:
    """How far one part of the server has come."""

    name: str
    state: LoadState = "waiting"
    detail: str = ""


@dataclass(slots=True)
class Models:
    """What takes time to load; None until it is there. ``encoder`` is the settings' own, ``encoders`` has all."""

    encoder: Encoder | None = None
    reader: TokenMemory | None = None  # the same, for passages that answers are made of: what it read just now it knows
    encoders: Encoders = field(default_factory=Encoders)
    engine: SearchEngine | None = None
    reranker: MixingReranker | None = None  # of the settings, or late interaction where they name none
    verifier: Verifier | None = None
    lm: LMQueue | None = None
    close_lm: Callable[[], None] | None = None
    abilities: Abilities | None = None  # of a model server

    def engine_now(self) -> SearchEngine:
        """Raises NotReady while it loads."""
        if self.engine is None:
            raise NotReady("the indexes are still loading; try again in a moment", code="loading")
        return self.engine


@dataclass(slots=True)
class Services:
    settings: Settings
    database: Database
    store: Store
    ledger: Ledger
    chats: Chats
    shared_chats: SharedChats
    traces: Traces
    calibrations: Calibrations
    eval_sets: EvalSets
    eval_runs: EvalRuns
    eval_votes: EvalVotes
    chat_votes: ChatVotes
    feedback: Feedback
    evaluating: Evaluating
    offload: Offload
    runs: Runs
    models: Models
    reindexing: Reindexing
    sandbox: Sandbox  # draws pages; a PDF that breaks the renderer breaks only this child
    worker_token: str
    searching: Searching
    approvals: Approvals
    credentials: Credentials
    identity: Identity
    audit: AuditLog
    searches: Turns  # and checks, which take longer
    checks: Turns
    telemetry: Telemetry
    other_models: OtherModels = field(default_factory=OtherModels)
    page_token: str = ""  # by which the page shows that it is ours; empty: nobody can
    backups: BackupDesk = field(default_factory=BackupDesk)
    purges: RecentPurges = field(default_factory=RecentPurges)
    languages: LanguageGuesser = field(default_factory=LanguageGuesser)
    names: NameFinder | None = None  # of previews; the worker has its own
    previews: int = 0  # files that are being looked at before they are stored
    publisher: Publisher = field(default_factory=Publisher)
    loading: dict[str, Loading] = field(default_factory=dict)
    # Set whenever a job was added or freed, so that a waiting worker need not poll.
    work_added: asyncio.Event = field(default_factory=asyncio.Event)
    # Set whenever any job changed, so that event streams need not poll.
    jobs_changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    @property
    def engine(self) -> SearchEngine:
        """Raises NotReady while the encoder and the indexes load."""
        if self.models.engine is None:
            raise NotReady(f"still loading: {self.loading_text()}; try again in a moment", code="loading")
        return self.models.engine

    @property
    def encoder(self) -> Encoder:
        if self.models.encoder is None:
            raise NotReady(f"still loading: {self.loading_text()}; try again in a moment", code="loading")
        return self.models.encoder

    @property
    def reader(self) -> Encoder:
        """``encoder``, with a memory of the passages that it read for the last answers."""
        if self.models.reader is None:
            raise NotReady(f"still loading: {self.loading_text()}; try again in a moment", code="loading")
        return self.models.reader

    @property
    def verifier(self) -> Verifier:
        if self.models.verifier is None:
            raise NotReady(f"still loading: {self.loading_text()}; try again in a moment", code="loading")
        return self.models.verifier

    @property
    def search_ready(self) -> bool:
        return self.models.engine is not None

    def loading_text(self) -> str:
        waiting = [
            f"{part.name} ({part.detail or part.state})" for part in self.loading.values() if part.state != "ready"
        ]
        return ", ".join(waiting) or "nothing"

    async def announce_jobs(self) -> None:
        """Wakes the event streams of jobs."""
        async with self.jobs_changed:
            self.jobs_changed.notify_all()
