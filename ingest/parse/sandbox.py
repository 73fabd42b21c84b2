"""Runs parsers in a child process that can be killed, and that can do nothing but answer.

The child has bounded memory, processor time and answer size, no network, no way to write files or start programs,
and an environment without secrets. Whatever happens to it (crash, no memory, no answer) becomes a ``ParseFailed``
that says so. It can still read files that its user may read; that is the operating system's to forbid.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import core.errors
from core.errors import OpenbookError, ParseFailed
from ingest.parse.child_process import ChildProcess, Gone, never
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.members import Member, Survey
from ingest.parse.sitemap import Sitemap

CHILD = "ingest.parse.child"
_MAX_FILES = 100  # then a fresh child: what one file left in memory shall not meet many others
_DEATHS = ("timeout", "child-failed")
_MAX_SKIPPED = 2  # pictures that a file may kill the child with before it is read without OCR
_ANSWER_BASE_BYTES = 48 * 2**20
_MAX_PIECE_BYTES = 2**20  # of one answer of a stream


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
        self._child: ChildProcess | None = None

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

    def members(self, path: Path, filename: str, cancelled: Callable[[], bool] = never) -> Survey:
        """What is in a zip archive. Raises as ``ingest.parse.members.survey`` does, and RunCancelled."""
        request = {"do": "members", "path": str(path.resolve()), "limits": self.limits.to_wire()}
        answer = self.ask(request, filename, cancelled)
        try:
            members = tuple(Member(int(i), str(name), int(size)) for i, name, size in answer["members"])
            return Survey(members, tuple((str(name), str(why)) for name, why in answer["skipped"]))
        except (KeyError, TypeError, ValueError) as e:
            raise ParseFailed(f"{filename}: the parser gave an answer without sense", code="child-failed") from e

    def member(
        self, path: Path, filename: str, index: int, cancelled: Callable[[], bool] = never
    ) -> Generator[bytes, None, None]:
        """The bytes of one member in pieces. Until it is exhausted or closed nothing else can be asked."""
        request = {"do": "member", "path": str(path.resolve()), "limits": self.limits.to_wire(), "index": index}
        size = 0
        for answer in self.stream(request, filename, cancelled):
            try:
                piece = base64.b64decode(answer["piece"], validate=True)
            except (KeyError, TypeError, ValueError) as e:
                raise ParseFailed(f"{filename}: the parser gave an answer without sense", code="child-failed") from e
            size += len(piece)
            if size > self.limits.max_unpacked_bytes:  # the child has counted: this is one that was taken over
                raise ParseFailed(f"{filename}: the parser gave more than it may", code="child-failed")
            yield piece

    def sitemap(self, path: Path, filename: str, most: int, cancelled: Callable[[], bool] = never) -> Sitemap:
        """The URLs of a sitemap. Raises as ``ingest.parse.sitemap.read_sitemap`` does, and RunCancelled."""
        request = {"do": "sitemap", "path": str(path.resolve()), "limits": self.limits.to_wire(), "most": most}
        answer = self.ask(request, filename, cancelled)
        try:
            urls = tuple(str(url) for url in answer["urls"][:most])
            return Sitemap("sitemaps" if answer["kind"] == "sitemaps" else "pages", urls, int(answer["more"]))
        except (KeyError, TypeError, ValueError) as e:
            raise ParseFailed(f"{filename}: the parser gave an answer without sense", code="child-failed") from e

    def stream(self, request: dict[str, Any], filename: str, cancelled: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Like ``ask``, for an answer in many pieces. Left before its end, it takes the child with it."""
        with self._lock:
            deadline = time.monotonic() + self.limits.timeout_s
            child = self._ready_child()
            failed = True
            error: Any = None
            try:
                child.send({"filename": filename, "cpu_s": self.limits.timeout_s, **request})
                while True:
                    answer = child.receive(deadline, _MAX_PIECE_BYTES, cancelled)
                    if "end" in answer or "error" in answer:
                        break
                    yield answer
                failed = _exhausted(answer)
                error = answer.get("error")
            except Gone as e:
                raise ParseFailed(f"{filename} could not be read: {e.reason}", code=e.code) from None
            finally:
                child.served += 1
                if failed or child.served >= self._max_files:
                    self._discard()
        if error is not None:
            raise _error(error)

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
                        raise Gone("the parser did not keep to what OCR may take")
                    more -= 1
                    deadline += self.limits.ocr_page_s
                    heard(answer["note"])
                    answer = child.receive(deadline, self._max_answer_bytes(), cancelled)
                child.served += 1
                failed = _exhausted(answer)
            except Gone as e:
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

    def _ready_child(self) -> ChildProcess:
        if self._child is not None and not self._child.alive():
            self._discard()
        if self._child is None:
            self._child = ChildProcess(self.limits.memory_bytes, self._module)
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


def _error(value: Any) -> OpenbookError:
    """The child's error, if it names one of ours and nothing else."""
    fields = value if isinstance(value, dict) else {}
    name, message = str(fields.get("type")), str(fields.get("message", ""))[:4000]
    kind = getattr(core.errors, name, ParseFailed)
    if not (isinstance(kind, type) and issubclass(kind, OpenbookError)):
        kind = ParseFailed
    return kind(message, code=str(fields.get("code", kind.code))[:64])
