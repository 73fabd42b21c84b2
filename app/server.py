"""The api process: the only writer. Takes the lock, opens the database, listens, and loads the models meanwhile.

python -m app.server      (started by ``openbook serve``; the listening socket may come as OPENBOOK_LISTEN_FD)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from app.api.main import create_app
from app.approvals import Approvals
from app.audit import AuditLog
from app.calibrations import Calibrations
from app.chat_votes import ChatVotes
from app.chats import Chats
from app.credentials import Credentials
from app.datadir import DataDirLock, ServerAddress, announce_server, withdraw_server
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.eval_votes import EvalVotes
from app.evaluating import Evaluating
from app.feedback import Feedback
from app.identity import Identity
from app.loading import load_models
from app.logs import configure_logging
from app.parent import die_with_parent
from app.reindexing import Reindexing
from app.runs import Runs
from app.searching import Searching
from app.services import Models, Services
from app.shared_chats import SharedChats
from app.telemetry import Telemetry
from app.traces import Traces
from app.turns import Turns
from app.upkeep.backup import sweep_leftovers
from app.upkeep.purge import finish_purge
from app.upkeep.restore import finish_restore
from app.wiring import MIGRATIONS, build_names
from core.allocator import bound_arenas, keep_giving_back, keep_loaded
from core.database import migrate, open_database
from core.errors import InvalidRequest, OpenbookError, StorageFailed
from core.offload import Offload
from core.settings import Settings, load_settings
from ingest.ledger import Ledger
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import parse_limits
from retrieval.store import Store

logger = logging.getLogger("openbook.server")

EXIT_REFUSED = 3  # the supervisor does not start a server again that refused to start
RUNS_OF_ONE = 8  # answers under way of one person, where there are several
OFFLOAD_THREADS = 8
# Half of the threads, so that what is quick does not wait behind searches; the queue is done in a second or two.
SEARCHES_AT_ONCE, SEARCHES_WAITING, SEARCHES_OF_ONE = 4, 32, 16
CHECKS_AT_ONCE, CHECKS_WAITING, CHECKS_OF_ONE = 2, 16, 8
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Everything but the models, which load later. The caller holds the lock of the data directory."""
    finish_restore(settings.data_dir)
    sweep_leftovers(settings.data_dir)
    database = open_database(settings.data_dir)
    migrate(database, MIGRATIONS)
    finish_purge(database, settings.data_dir)
    ledger = Ledger(max_queued=settings.max_queued_jobs)
    store = Store(database, settings.data_dir / "originals", also_held=ledger.held_originals)
    with database.write() as connection:
        ledger.requeue_interrupted(connection)
    eval_runs = EvalRuns(database)
    eval_runs.requeue_interrupted()
    models = Models()
    several = settings.identity == "password"
    chats = Chats(database)
    credentials = Credentials(database, settings.session_days)
    services = Services(
        settings=settings,
        database=database,
        store=store,
        ledger=ledger,
        chats=chats,
        shared_chats=SharedChats(database),
        traces=Traces(database),
        calibrations=Calibrations(database),
        eval_sets=EvalSets(database),
        eval_runs=eval_runs,
        eval_votes=EvalVotes(database),
        chat_votes=ChatVotes(database, chats),
        feedback=Feedback(database, chats),
        evaluating=Evaluating(),
        offload=Offload(OFFLOAD_THREADS),
        runs=Runs(each=RUNS_OF_ONE if several else None),
        searches=Turns(
            "searches", at_once=SEARCHES_AT_ONCE, waiting=SEARCHES_WAITING, each=SEARCHES_OF_ONE if several else None
        ),
        checks=Turns("checks", at_once=CHECKS_AT_ONCE, waiting=CHECKS_WAITING, each=CHECKS_OF_ONE if several else None),
        models=models,
        reindexing=Reindexing(settings, database, store, ledger, models.engine_now, lambda: models.encoders),
        sandbox=Sandbox(parse_limits(settings)),
        worker_token=secrets.token_urlsafe(32),
        searching=Searching(settings),
        names=build_names(settings),
        approvals=Approvals(settings.approval_s),
        credentials=credentials,
        identity=Identity(database, credentials),
        audit=AuditLog(database),
        telemetry=Telemetry(settings),
    )
    try:
        yield services
    finally:
        services.telemetry.close()
        if services.models.engine is not None:
            services.models.engine.close()
        services.offload.close()
        services.sandbox.close()
        database.close()


def application(services: Services, *, own_process: bool = False) -> FastAPI:
    """The API over ``services``, loading the models from its first moment on.

    Args:
        own_process: whether the process lives for nothing else, so that what is loaded stays until it ends.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load_models(services))
        if own_process:
            loading.add_done_callback(lambda _: keep_loaded())
        publishing = asyncio.create_task(
            services.publisher.run(
                lambda: services.engine,
                services.database,
                services.ledger,
                services.offload,
                services.announce_jobs,
            )
        )
        evaluating = asyncio.create_task(services.evaluating.run(services))
        try:
            yield
        finally:
            for task in (loading, publishing, evaluating):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await services.runs.close()
            await services.other_models.close()
            await _put_back(services)
            if services.models.close_lm is not None:
                await services.offload(services.models.close_lm)

    return create_app(services, lifespan)


async def _put_back(services: Services) -> None:
    """A stop in good order is no attempt that failed: what was being read begins anew, however often that happens."""

    def put_back() -> int:
        with services.database.write() as connection:
            return services.ledger.put_back(connection)

    try:
        await services.offload(put_back)
    except StorageFailed as e:
        logger.warning("what was being read will count as broken off: %s", e.message)


def check_address(settings: Settings) -> None:
    """Without identities whoever reaches the port is the owner, so nobody from elsewhere may.

    Raises:
        InvalidRequest: an address that others reach, and nobody has to sign in.
    """
    if settings.identity == "none" and settings.host not in LOOPBACK:
        raise InvalidRequest(
            f"--host {settings.host} would let anyone on the network in, since there is no sign-in: use 127.0.0.1, or set "
            "OPENBOOK_IDENTITY=password",
            code="needs-identity",
        )


def _say_first_token(services: Services) -> None:
    """Until somebody can administer, each start says how to become the one who can."""
    if services.settings.identity == "none":
        return
    token = services.identity.first_token()
    if token is None:
        return
    page = os.environ.get("OPENBOOK_PAGE_URL")
    where = f"open {page}/account/join#{token}" if page else f"open /account/join of the page and give it {token}"
    print(f"No administrator yet. To become the first one, {where}   (works once, for 24 hours)", flush=True)  # noqa: T201


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OpenbookError in one clear line if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(256)
    except OSError as e:
        found.close()
        raise OpenbookError(
            f"cannot listen on {host}:{port} ({e.strerror}): stop what uses it, or choose another --port",
            code="port-in-use",
        ) from e
    return found


class BackgroundServer:
    """A server in a thread of this process, for a command that found none running."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def run(self, *, announce: bool = False) -> Iterator[ServerAddress]:
        """Args: announce: whether other commands may find it, which is for a command that goes on for long."""
        bound_arenas()
        keep_giving_back()
        lock = DataDirLock(self._settings.data_dir)
        lock.acquire()
        try:
            with open_services(self._settings) as services:
                listener = listen("127.0.0.1", 0)
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                server = uvicorn.Server(_uvicorn(application(services)))
                thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
                thread.start()
                address = ServerAddress(url=url, token=services.worker_token, pid=os.getpid())
                try:
                    if announce:
                        announce_server(self._settings.data_dir, address)
                    yield address
                finally:
                    if announce:
                        withdraw_server(self._settings.data_dir)
                    server.should_exit = True
                    thread.join()
        finally:
            lock.release()


class _Server(uvicorn.Server):
    """Leaves signals to ``main``: the stock server raises them again when it has stopped, which would end the
    process before the indexes are closed and the address is withdrawn."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=30,
        ws="none",
    )


def main() -> int:
    die_with_parent()
    bound_arenas()
    keep_giving_back()
    configure_logging("text")
    for quiet in ("alembic", "httpx", "uvicorn.error"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        check_address(settings)
        lock = DataDirLock(settings.data_dir)
        lock.acquire()
        fd = os.environ.get("OPENBOOK_LISTEN_FD")
        listener = socket.socket(fileno=int(fd)) if fd else listen(settings.host, settings.port)
        with open_services(settings) as services:
            services.worker_token = os.environ.get("OPENBOOK_WORKER_TOKEN") or services.worker_token
            services.page_token = os.environ.get("OPENBOOK_PAGE_TOKEN", "")
            _say_first_token(services)
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else name}:{port}"
            announce_server(settings.data_dir, ServerAddress(url=url, token=services.worker_token, pid=os.getpid()))
            server = _Server(_uvicorn(application(services, own_process=True)))
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, server.handle_exit)
            server.run(sockets=[listener])
            withdraw_server(settings.data_dir)
    except OpenbookError as e:
        print(f"openbook: {e.message}", file=sys.stderr)  # noqa: T201
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
