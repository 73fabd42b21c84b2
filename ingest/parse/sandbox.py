"""Runs parsers in a child process that can be killed, and that can do nothing but answer.

The child has bounded memory, processor time and answer size, no network, no way to write files or start programs,
and an environment without secrets. Whatever happens to it (crash, no memory, no answer) becomes a ``ParseFailed``
that says so. It can still read files that its user may read; that is the operating system's to forbid.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import core.errors
from core.errors import OpenbookError, ParseFailed, RunCancelled
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.wire import PREFIX_BYTES, encode_request, frame_length

CHILD = "ingest.parse.child"
_ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.05
_START_TIMEOUT_S = 30.0
_MAX_SAID_BYTES = 4096
_MAX_FILES = 100  # then a fresh child: what one file left in memory shall not meet many others
_DEATHS = ("timeout", "child-failed")
_MAX_SKIPPED = 2  # pictures that a file may kill the child with before it is read without OCR
_ANSWER_BASE_BYTES = 48 * 2**20


def never() -> bool:
    return False


def _ignore(_: dict[str, Any]) -> None:
    pass


def parse_in_child(
    path: Path,
    filename: str,
    limits: ParseLimits,
    cancelled: Callable[[], bool] = never,
    *,
    password: str | None = None,
) -> ParsedDocument:
    """``parse_file`` in a child of its own. To read many files keep a ``Sandbox``: starting a child takes 0.1 s.

    Raises:
        RunCancelled: ``cancelled()`` became true; the child is dead.
        ParseFailed and its kin, TooLarge: as ``parse_file`` says, and when the child crashed or went over its limits.
    """
    with Sandbox(limits) as sandbox:
        return sandbox.parse(path, filename, cancelled, password=password)


class Sandbox:
    """One parsing child at a time, started when first needed, replaced after a failure or a hundred files.

    Thread-safe: calls wait for each other. The kernel ends the child when the thread that started it ends, so a
    child that is found dead before it was asked anything is started again.
    """

    def __init__(self, limits: ParseLimits, *, max_files: int = _MAX_FILES, module: str = CHILD) -> None:
        """``module`` is the program of the child; tests give one that misbehaves."""
        self.limits = limits
        self._module = module
        self.network = ""  # how the child's network is shut off, once one has started: see ``confine``
        self._max_files = max_files
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._discard()

    def start(self) -> None:
        """Starts the child now, rather than with the first file."""
        with self._lock:
            self._ready_child()

    def parse(
        self, path: Path, filename: str, cancelled: Callable[[], bool] = never, *, password: str | None = None
    ) -> ParsedDocument:
        """See ``parse_in_child``."""
        answer = self._parse(path, filename, cancelled, password)
        try:
            return ParsedDocument.from_wire(answer["document"])
        except (KeyError, TypeError) as e:
            raise ParseFailed(f"{filename}: the parser gave an answer without sense", code="child-failed") from e

    def _parse(self, path: Path, filename: str, cancelled: Callable[[], bool], password: str | None) -> dict[str, Any]:
        """Asks again without the pictures that the child died of while OCR looked at them; at last without OCR."""
        limits = self.limits
        while True:
            request = {"do": "parse", "path": str(path.resolve()), "filename": filename, "limits": limits.to_wire()}
            notes: list[dict[str, Any]] = []
            try:
                return self.ask({**request, "password": password}, filename, cancelled, notes.append)
            except ParseFailed as e:
                if e.code not in _DEATHS or not notes or limits.ocr == "off":
                    raise
                if len(limits.ocr_skip) < _MAX_SKIPPED:
                    limits = replace(limits, ocr_skip=(*limits.ocr_skip, int(notes[-1].get("ocr", 0))))
                else:
                    limits = replace(limits, ocr="off")

    def page_image(
        self,
        path: Path,
        page: int,
        page_text: str,
        passages: Sequence[tuple[int, int]] = (),
        width_px: int = 1000,
        *,
        password: str | None = None,
        words: str = "",
    ) -> bytes:
        """A PNG of a page with passages marked; ``passages`` are (start, end) in ``page_text`` (see ``page_image``).

        ``words`` says where the words of a page lie that was read by OCR: what the document's metadata has of it.
        """
        request = {
            "do": "page",
            "cpu_s": self.limits.stall_s,
            "path": str(path.resolve()),
            "page": page,
            "page_text": page_text,
            "passages": [list(p) for p in passages],
            "width_px": width_px,
            "password": password,
            "words": words,
        }
        return base64.b64decode(self.ask(request, f"page {page}", never)["png"])

    def ask(
        self,
        request: dict[str, Any],
        filename: str,
        cancelled: Callable[[], bool],
        heard: Callable[[dict[str, Any]], None] = _ignore,
    ) -> dict[str, Any]:
        """Sends one request and waits for its answer; errors of the child are raised here as what they were there.

        ``heard`` is given each note that comes before the answer. One that says that OCR begins with a page makes the
        wait longer, as often as OCR may read a page.
        """
        with self._lock:
            deadline = time.monotonic() + self.limits.timeout_s
            more = self.limits.ocr_max_pages if self.limits.ocr == "auto" else 0
            child = self._ready_child()
            failed = True
            try:
                # Time spent waiting for the disk is not the parser's; the wall clock below bounds that too.
                child.send({"filename": filename, "cpu_s": self.limits.timeout_s, **request})
                answer = child.receive(deadline, self._max_answer_bytes(), cancelled)
                while "note" in answer:
                    if more <= 0:
                        raise _Gone("the parser did not keep to what OCR may take")
                    more -= 1
                    deadline += self.limits.ocr_page_s
                    heard(answer["note"])
                    answer = child.receive(deadline, self._max_answer_bytes(), cancelled)
                failed = _exhausted(answer)
            except _Gone as e:
                raise ParseFailed(f"{filename} could not be read: {e.reason}", code=e.code) from None
            finally:
                # Also on KeyboardInterrupt and RunCancelled: its answer would be taken for that to the next request.
                if failed or child.served >= self._max_files:
                    self._discard()
        if "error" in answer:
            raise _error(answer["error"])
        return answer

    def _max_answer_bytes(self) -> int:
        return _ANSWER_BASE_BYTES + 6 * self.limits.max_characters

    def _ready_child(self) -> _Child:
        if self._child is not None and not self._child.alive():
            self._discard()
        if self._child is None:
            self._child = _Child(self.limits.memory_bytes, self._module)
            self.network = self._child.network
        return self._child

    def _discard(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _exhausted(answer: dict[str, Any]) -> bool:
    """Whether the child answered, but from its last breath: it ran out of memory or of stack."""
    error = answer.get("error")
    return isinstance(error, dict) and error.get("code") == "too-complex"


class _Gone(Exception):
    """The child will not answer."""

    def __init__(self, reason: str, code: str = "child-failed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class _Child:
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
        except _Gone as e:
            self.kill()
            raise ParseFailed(f"the parser could not be started: {e.reason}", code="child-failed") from None
        self.served = 0
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
            raise _Gone(self._cause()) from e

    def receive(self, deadline: float, max_bytes: int, cancelled: Callable[[], bool]) -> dict[str, Any]:
        prefix = self._read(PREFIX_BYTES, deadline, cancelled)
        length = frame_length(prefix)
        if length > max_bytes:
            raise _Gone(f"its text is too large ({length / 2**20:.0f} MiB)", "too-large")
        body = self._read(length, deadline, cancelled)
        self.served += 1
        try:
            answer = json.loads(body)
        except ValueError as e:
            raise _Gone("the parser gave an answer without sense") from e
        if not isinstance(answer, dict):
            raise _Gone("the parser gave an answer without sense")
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
                    raise _Gone("it took too long; the parser was stopped", "timeout")
                ready = {key.fd for key, _ in selector.select(_POLL_S)}
                if ready - {self._answers} and not self._listen():
                    selector.unregister(self._process.stderr or -1)
                if self._answers not in ready:
                    continue
                piece = os.read(self._answers, min(2**20, size - len(data)))
                if not piece:
                    raise _Gone(self._cause(), self._cause_code())
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


def _error(value: Any) -> OpenbookError:
    """The child's error, if it names one of ours and nothing else."""
    fields = value if isinstance(value, dict) else {}
    name, message = str(fields.get("type")), str(fields.get("message", ""))[:4000]
    kind = getattr(core.errors, name, ParseFailed)
    if not (isinstance(kind, type) and issubclass(kind, OpenbookError)):
        kind = ParseFailed
    return kind(message, code=str(fields.get("code", kind.code))[:64])
