"""A multipart upload read as it arrives: each file goes straight to the originals, so memory stays flat.

Knows the wire format; knows nothing of jobs or collections.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidRequest, OpenbookError, StorageFailed
from core.offload import Offload

# How much of one file may wait in memory between the network and the disk.
QUEUED_PIECES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """One file of an upload: kept (``sha256``, ``size``) or refused (``error``)."""

    filename: str
    sha256: str = ""
    size: int = 0
    error: OpenbookError | None = None


# (pieces) -> (sha256, size); stores one file and is durable when it returns.
Keep = Callable[[Iterator[bytes]], tuple[str, int]]


async def receive_files(request: Request, keep: Keep, offload: Offload, max_files: int) -> AsyncIterator[Uploaded]:
    """Yields each file of the form field ``files`` once it is kept or refused.

    Raises:
        InvalidRequest: the body is not a multipart form, is broken, has no file or too many.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise InvalidRequest("send the files as multipart/form-data in the field 'files'", code="not-multipart")
    form = _Form(boundary)
    count = 0
    writer: _Writer | None = None
    try:
        async for piece in _body(request):
            for kind, data in form.feed(piece):
                if kind == "begin":
                    count += 1
                    if count > max_files:
                        raise InvalidRequest(
                            f"more than {max_files} files in one upload: send them in parts", code="too-many-files"
                        )
                    writer = _Writer(data.decode("utf-8", "replace"), keep)
                elif kind == "data" and writer is not None:
                    await offload(writer.put, data)
                elif kind == "end" and writer is not None:
                    done, writer = writer, None
                    yield await offload(done.finish)
        if not form.complete:
            raise InvalidRequest("the upload broke off before its end: send it again", code="broken-upload")
        if count == 0:
            raise InvalidRequest("no file in the field 'files'", code="no-files")
    finally:
        if writer is not None:
            await offload(writer.abort)


async def receive_body(request: Request, filename: str, keep: Keep, offload: Offload) -> Uploaded:
    """The whole body as one file."""
    writer = _Writer(filename, keep)
    try:
        async for piece in _body(request):
            await offload(writer.put, piece)
    except BaseException:
        await offload(writer.abort)
        raise
    return await offload(writer.finish)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece


class _Form:
    """Turns body pieces into ("begin", filename), ("data", bytes) and ("end", b"") of the parts that are files."""

    def __init__(self, boundary: bytes) -> None:
        self.complete = False
        self._events: list[tuple[str, bytes]] = []
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_file = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": lambda data, start, end: self._extend_name(data[start:end]),
                "on_header_value": lambda data, start, end: self._extend_value(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": lambda data, start, end: self._part_data(data[start:end]),
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        try:
            self._parser.write(piece)
        except MultipartParseError as e:
            raise InvalidRequest(f"the upload is not a valid multipart form: {e}", code="broken-upload") from e
        events, self._events = self._events, []
        return events

    def _part_begin(self) -> None:
        self._headers = {}
        self._is_file = False

    def _extend_name(self, data: bytes) -> None:
        self._header_name += data

    def _extend_value(self, data: bytes) -> None:
        self._header_value += data

    def _header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._is_file = options.get(b"name") in (b"files", b"files[]", b"file") and b"filename" in options
        if self._is_file:
            self._events.append(("begin", options[b"filename"]))

    def _part_data(self, data: bytes) -> None:
        if self._is_file:
            self._events.append(("data", bytes(data)))

    def _part_end(self) -> None:
        if self._is_file:
            self._events.append(("end", b""))

    def _end(self) -> None:
        self.complete = True


class _Writer:
    """Hands the pieces of one file to ``keep``, which pulls, from the side that pushes."""

    def __init__(self, filename: str, keep: Keep) -> None:
        self._filename = filename
        self._keep = keep
        self._pieces: queue.Queue[bytes | None] = queue.Queue(QUEUED_PIECES)
        self._aborted = False
        self._result: Uploaded | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._thread.start()

    def put(self, piece: bytes) -> None:
        # After a refusal the rest of the file is read and dropped, so that the other files of the upload arrive.
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=0.2)
                return

    def finish(self) -> Uploaded:
        self._close()
        return self._result or Uploaded(filename=self._filename, error=InvalidRequest("the upload broke off"))

    def abort(self) -> None:
        self._aborted = True
        self._close()

    def _close(self) -> None:
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._pieces.put(None, timeout=0.2)
                break
        self._thread.join()

    def _run(self) -> None:
        try:
            sha256, size = self._keep(self._arriving())
            self._result = Uploaded(filename=self._filename, sha256=sha256, size=size)
        except OpenbookError as e:
            self._result = Uploaded(filename=self._filename, error=e)
        except OSError as e:
            failed = StorageFailed(f"{self._filename} could not be stored: {e}")
            self._result = Uploaded(filename=self._filename, error=failed)

    def _arriving(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            yield piece
        if self._aborted:
            raise InvalidRequest("the upload broke off before its end", code="broken-upload")
