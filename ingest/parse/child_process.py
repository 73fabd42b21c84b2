"""One parsing child as its parent sees it: started, asked, waited for, killed. It knows frames, not what they mean."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import ParseFailed, RunCancelled
from ingest.parse.wire import PREFIX_BYTES, encode_request, frame_length

_ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.05
_START_TIMEOUT_S = 30.0
_MAX_SAID_BYTES = 4096


def never() -> bool:
    return False


class Gone(Exception):
    """The child will not answer."""

    def __init__(self, reason: str, code: str = "child-failed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class ChildProcess:
    def __init__(self, memory_bytes: int, module: str) -> None:
        self.served = 0
        self._mute = False  # standard error is closed
        self._said = b""  # the end of what it wrote to standard error
        read_fd, write_fd = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(memory_bytes), str(write_fd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(write_fd,),
                env=_environment(),
                close_fds=True,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        except BaseException:
            os.close(read_fd)
            raise
        finally:
            os.close(write_fd)
        self._answers = read_fd
        os.set_blocking(read_fd, False)
        if self._process.stderr is not None:
            os.set_blocking(self._process.stderr.fileno(), False)
        try:
            hello = self.receive(time.monotonic() + _START_TIMEOUT_S, 1000, never)
        except Gone as e:
            self.kill()
            raise ParseFailed(f"the parser could not be started: {e.reason}", code="child-failed") from None
        self.network = str(hello.get("network", ""))

    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        stdin = self._process.stdin
        try:
            if stdin is not None:
                stdin.write(encode_request(request))
                stdin.flush()
        except OSError as e:
            raise Gone(self._cause()) from e

    def receive(self, deadline: float, max_bytes: int, cancelled: Callable[[], bool]) -> dict[str, Any]:
        prefix = self._read(PREFIX_BYTES, deadline, cancelled)
        length = frame_length(prefix)
        if length > max_bytes:
            raise Gone(f"its text is too large ({length / 2**20:.0f} MiB)", "too-large")
        body = self._read(length, deadline, cancelled)
        try:
            answer = json.loads(body)
        except ValueError as e:
            raise Gone("the parser gave an answer without sense") from e
        if not isinstance(answer, dict):
            raise Gone("the parser gave an answer without sense")
        return answer

    def _read(self, size: int, deadline: float, cancelled: Callable[[], bool]) -> bytes:
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            if self._process.stderr is not None and not self._mute:
                selector.register(self._process.stderr, selectors.EVENT_READ)
            while len(data) < size:
                if cancelled():
                    raise RunCancelled("cancelled while the file was read")
                if time.monotonic() > deadline:
                    raise Gone("it took too long; the parser was stopped", "timeout")
                ready = {key.fd for key, _ in selector.select(_POLL_S)}
                if ready - {self._answers} and not self._listen():
                    selector.unregister(self._process.stderr or -1)
                if self._answers not in ready:
                    continue
                piece = os.read(self._answers, min(2**20, size - len(data)))
                if not piece:
                    raise Gone(self._cause(), self._cause_code())
                data += piece
        return bytes(data)

    def _listen(self) -> bool:
        """Reads what it said on standard error, so that it never waits for us; False when that has ended."""
        try:
            said = os.read(self._process.stderr.fileno(), 2**16) if self._process.stderr is not None else b""
        except BlockingIOError:  # nothing now, though someone still holds the other end
            return False
        self._said = (self._said + said)[-_MAX_SAID_BYTES:]
        self._mute = not said
        return not self._mute

    def _returncode(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=5)
        return None

    def _cause_code(self) -> str:
        return {-signal.SIGXCPU: "timeout"}.get(self._returncode() or 0, "child-failed")

    def _cause(self) -> str:
        code = self._returncode()
        if code == -signal.SIGXCPU:
            return "it needed too much processor time; the parser was stopped"
        if code == -signal.SIGKILL:
            return "the parser was killed, perhaps because the machine is short of memory"
        if code is not None and code < 0:
            return f"the parser crashed on it ({signal.Signals(-code).name})"
        while not self._mute and self._listen():
            pass  # it is dead: what is in the pipe is all there is
        last = self._said.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        return f"the parser ended with status {code}: {last[:300]}"

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone, and so is its group
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            with contextlib.suppress(OSError):  # what was not sent will not be
                if stream is not None:
                    stream.close()
        os.close(self._answers)


_KEPT = ("PATH", "LD_LIBRARY_PATH", "TZ", "SYSTEMROOT", "TESSDATA_PREFIX")


def _environment() -> dict[str, str]:
    """What the child may know: how to run Python, and no secret."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Its processor time is counted over all threads: OCR would only wait for itself.
    return {
        **kept,
        "OMP_THREAD_LIMIT": "1",
        "PYTHONPATH": str(_ROOT),
        "PYTHONUTF8": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
