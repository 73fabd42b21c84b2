"""A server for the length of one command: same routes, same worker, on a loopback port nobody was told."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from app.datadir import ServerAddress
from app.serve import MAX_RESTARTS, STOP_TIMEOUT_S, Child
from app.server import BackgroundServer
from core.errors import OpenbookError
from core.settings import Settings, as_environment

LOOK_S = 0.2

logger = logging.getLogger("openbook.local")


@contextmanager
def local_server(settings: Settings, *, worker: bool, announce: bool = False) -> Iterator[ServerAddress]:
    """Takes the data directory's lock until the end.

    Raises:
        DataDirLocked: another process has it.
        OpenbookError: there is to be a worker, and it cannot be kept alive; what waits for it would never end.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with (
        BackgroundServer(settings).run(announce=announce) as address,
        kept_alive(_worker(settings, address)) if worker else nullcontext(),
    ):
        yield address


@contextmanager
def kept_alive(child: Child) -> Iterator[None]:
    """Starts a process, and again whenever it ends, as ``openbook serve`` does. To be entered by the main thread, which
    is interrupted where that does not help.

    Raises:
        OpenbookError: it kept ending.
    """
    stopping = threading.Event()
    given_up: list[str] = []

    def watch() -> None:
        while not stopping.wait(LOOK_S):
            code = child.exit_code
            if code is None:
                continue
            if len(child.starts) > MAX_RESTARTS:
                given_up.append(f"the {child.name} process keeps ending (exit {code}): see above what it said")
                ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a script's "&" has it
                if ignored:
                    logger.error("%s", given_up[0])
                os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
                return
            logger.warning("the %s process ended (exit %s): starting it again", child.name, code)
            child.start()

    child.start()
    # It lives until the child is stopped: a child is told when the thread that started it has gone.
    watcher = threading.Thread(target=watch, name=f"{child.name}-watch", daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt as e:
        if given_up:
            raise OpenbookError(given_up[0], code="worker-ended") from e
        raise
    finally:
        stopping.set()
        watcher.join()
        child.stop(STOP_TIMEOUT_S)


def _worker(settings: Settings, address: ServerAddress) -> Child:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")},
        **as_environment(settings),
        "OPENBOOK_API_URL": address.url,
        "OPENBOOK_WORKER_TOKEN": address.token,
        "OPENBOOK_PARENT_PID": str(os.getpid()),
    }
    return Child("worker", [sys.executable, "-m", "app.worker"], environment)
