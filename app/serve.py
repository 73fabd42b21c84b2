"""``openbook serve``: starts api, worker and page, restarts what dies, stops all of them together.

Knows processes; knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from app.datadir import find_server, is_locked
from app.server import EXIT_REFUSED, check_address, listen
from core.errors import DataDirLocked, OpenbookError
from core.settings import Settings, as_environment

STOP_TIMEOUT_S = 10.0
MAX_RESTARTS = 5  # of one child within RESTART_WINDOW_S
RESTART_WINDOW_S = 60.0
_NAMED_ENDED = 20


@dataclass(slots=True)
class Child:
    name: str
    command: list[str]
    environment: dict[str, str]
    inherited: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)  # process ids, the last ``_NAMED_ENDED``

    def start(self) -> None:
        now = time.monotonic()
        if self.process is not None:
            # All of them: a successor that was killed itself may not have told of the one before.
            self.ended = [*self.ended, self.process.pid][-_NAMED_ENDED:]
            self.environment["OPENBOOK_REPLACES"] = ",".join(map(str, self.ended))
        self.starts = [t for t in self.starts if now - t < RESTART_WINDOW_S] + [now]
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            pass_fds=self.inherited,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    def stop(self, timeout_s: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(settings: Settings, *, ui: bool, say: Callable[[str], None], worker: bool = True) -> int:
    """Runs until stopped; returns the exit code. Without ``worker``, files wait for one elsewhere (``app.worker_service``).

    Raises:
        OpenbookError: a port in use, a data directory in use, an address that needs identities.
    """
    check_address(settings)
    if is_locked(settings.data_dir):
        running = find_server(settings.data_dir)
        who = f"Openbook runs already at {running.url} and" if running is not None else "another process"
        raise DataDirLocked(f"{who} is using {settings.data_dir}: stop it, or choose another --data-dir")
    api_socket = listen(settings.host, settings.port)
    api_url = f"http://{_shown(settings.host)}:{api_socket.getsockname()[1]}"
    ui_port = _free_port(settings) if ui else 0
    ui_url = f"http://{_shown(settings.host)}:{ui_port}"
    token = secrets.token_urlsafe(32)
    supervisor = _Supervisor(say)
    base = {
        **{k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")},
        **as_environment(settings),
        "OPENBOOK_PARENT_PID": str(os.getpid()),
    }
    secret = {"OPENBOOK_WORKER_TOKEN": token}
    page = {"OPENBOOK_PAGE_TOKEN": secrets.token_urlsafe(32)} if ui else {}
    fd = api_socket.fileno()
    # A page that runs elsewhere: where it is, and the secret that it shares with the API.
    elsewhere = {k: v for k in ("OPENBOOK_PAGE_URL", "OPENBOOK_PAGE_TOKEN") if not ui and (v := os.environ.get(k))}
    of_api = (
        base
        | secret
        | page
        | elsewhere
        | {"OPENBOOK_LISTEN_FD": str(fd)}
        | ({"OPENBOOK_PAGE_URL": ui_url} if ui else {})
    )
    supervisor.add(Child("api", [sys.executable, "-m", "app.server"], of_api, (fd,)))
    if worker:
        supervisor.add(
            Child("worker", [sys.executable, "-m", "app.worker"], base | secret | {"OPENBOOK_API_URL": api_url})
        )
    if ui:
        page_env = {k: v for k, v in base.items() if not k.startswith("OPENBOOK_")}
        page_env |= {"OPENBOOK_API_URL": api_url, "OPENBOOK_PARENT_PID": str(os.getpid())} | page
        if settings.identity == "none":  # then whoever reaches the page is the local user
            names = ("127.0.0.1", "localhost", "::1", settings.host.strip("[]"), *settings.allowed_hosts)
            page_env["OPENBOOK_PAGE_HOSTS"] = ",".join(names)
        supervisor.add(Child("page", _page_command(settings, ui_port), page_env))
    try:
        supervisor.start()
        say(f"API   {api_url}   (its documentation: {api_url}/docs)")
        if ui:
            say(f"Page  {ui_url}")
        say(f"Data  {settings.data_dir.absolute()}")
        return supervisor.watch(_Readiness(api_url, ui_url if ui else None, say, token))
    finally:
        supervisor.stop()
        api_socket.close()


def _shown(host: str) -> str:
    host = "127.0.0.1" if host in ("0.0.0.0", "localhost") else host
    return f"[{host}]" if ":" in host else host


def _free_port(settings: Settings) -> int:
    """The page's port, seen to be free. (Streamlit binds by itself, so a race remains, and ends in its own error.)"""
    try:
        found = listen(settings.host, settings.ui_port)
    except OpenbookError as e:
        raise OpenbookError(e.message.replace("--port", "--ui-port"), code=e.code) from e
    with contextlib.closing(found):
        port: int = found.getsockname()[1]
    return port


def _page_command(settings: Settings, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "app.ui",
        f"--server.address={settings.host}",
        f"--server.port={port}",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        f"--server.maxUploadSize={-(-settings.max_upload_bytes // 2**20)}",
        "--browser.gatherUsageStats=false",
        "--client.toolbarMode=minimal",
        "--client.showErrorDetails=none",
    ]


class _Supervisor:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[Child] = []
        self._stopping = False

    def add(self, child: Child) -> None:
        self._children.append(child)

    def start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        for child in self._children:
            child.start()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def watch(self, readiness: _Readiness) -> int:
        """Until a signal, or until a child can't be kept alive."""
        while not self._stopping:
            for child in self._children:
                code = child.exit_code
                if code is None or self._stopping:
                    continue
                if child.name == "api" and code == EXIT_REFUSED:
                    return 1  # it has said why
                if len(child.starts) > MAX_RESTARTS:
                    self._say(f"the {child.name} process keeps ending (exit {code}): giving up")
                    return 1
                self._say(f"the {child.name} process ended (exit {code}): starting it again")
                child.start()
                if child.name == "api":
                    readiness.begin_again()
            readiness.look()
            time.sleep(0.2)
        self._say("stopping")
        return 0

    def stop(self) -> None:
        # The page and the worker first: they speak to the api.
        for child in reversed(self._children):
            child.stop(STOP_TIMEOUT_S)


class _Readiness:
    """Says what is loading, and once when everything is there."""

    def __init__(self, api_url: str, ui_url: str | None, say: Callable[[str], None], token: str) -> None:
        self._token = token
        self._api_url = api_url
        self._ui_url = ui_url
        self._say = say
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._begun = time.monotonic()
        self._said: dict[str, tuple[str, str]] = {}
        self._done = False
        self._search_said = False
        self._next_look = 0.0

    def begin_again(self) -> None:
        self._begun, self._done, self._search_said = time.monotonic(), False, False
        self._said.clear()

    def look(self) -> None:
        if self._done or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 0.3
        try:
            body = json.loads(self._fetch(f"{self._api_url}/ready"))
        except urllib.error.HTTPError as e:
            body = json.loads(e.read())
        except (OSError, ValueError):
            return  # it does not listen yet
        for part in body["loading"]:
            now = (part["state"], part["detail"])
            if self._said.get(part["name"]) != now and part["state"] != "waiting":
                self._said[part["name"]] = now
                self._say(f"{part['name']}: {part['state']}{' — ' + part['detail'] if part['detail'] else ''}")
        if body["ready"] and not self._search_said and self._page_answers():
            self._search_said = True
            seconds = time.monotonic() - self._begun
            self._say(f"ready in {seconds:.1f} s: open {self._ui_url or self._api_url + '/docs'}   (Ctrl-C stops)")
        settled = all(part["state"] in ("ready", "failed", "off") for part in body["loading"])
        self._done = settled and bool(body["loading"]) and (self._search_said or not body["ready"])

    def _page_answers(self) -> bool:
        if self._ui_url is None:
            return True
        try:
            return bool(self._fetch(f"{self._ui_url}/_stcore/health"))
        except OSError:
            return False

    def _fetch(self, url: str) -> bytes:
        own = {"Authorization": f"Bearer {self._token}"} if url.startswith(self._api_url) else {}
        with self._opener.open(urllib.request.Request(url, headers=own), timeout=2) as reply:
            found: bytes = reply.read()
        return found
