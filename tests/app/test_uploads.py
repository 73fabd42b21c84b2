"""The multipart reader: memory flat, refusals per file, a broken line noticed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator

import pytest
from fastapi import Request

from app.api.uploads import Uploaded, receive_files
from core.errors import InvalidRequest, TooLarge
from core.offload import Offload

LIMIT = 1_000_000


def keep(pieces: Iterator[bytes]) -> tuple[str, int]:
    h, size = hashlib.sha256(), 0
    for piece in pieces:
        h.update(piece)
        size += len(piece)
        if size > LIMIT:
            raise TooLarge(f"over {LIMIT} bytes")
    return h.hexdigest(), size


def form(*files: tuple[str, bytes], field: str = "files") -> bytes:
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), n.encode(), d)
        for n, d in files
    ]
    return b"".join(parts) + b"--B--\r\n"


def receive(
    body: bytes, *, content_type: str = "multipart/form-data; boundary=B", piece: int = 65536
) -> list[Uploaded]:
    pieces = [body[i : i + piece] for i in range(0, len(body), piece)]

    async def asgi_receive() -> dict[str, object]:
        data = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": data, "more_body": bool(pieces)}

    async def run() -> list[Uploaded]:
        request = Request(
            {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}, asgi_receive
        )
        offload = Offload(2)
        try:
            return [u async for u in receive_files(request, keep, offload, max_files=3)]
        finally:
            offload.close()

    return asyncio.run(run())


@pytest.mark.parametrize("piece", [1, 7, 65536])
def test_files_arrive_whole_however_the_line_cuts_them(piece: int) -> None:
    files = [("a.txt", b"hello\r\n--not a boundary\r\n"), ("ünï 👣.bin", bytes(range(256)) * 4)]
    found = receive(form(*files), piece=piece)
    assert [(u.filename, u.sha256, u.size) for u in found] == [
        (name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in files
    ]


def test_a_file_over_the_limit_is_refused_and_the_next_one_still_arrives() -> None:
    found = receive(form(("big", b"x" * (LIMIT * 5)), ("small", b"y")))
    assert isinstance(found[0].error, TooLarge)
    assert (found[1].filename, found[1].size, found[1].error) == ("small", 1, None)


def test_an_empty_file_is_a_file() -> None:
    assert [(u.filename, u.size, u.error) for u in receive(form(("empty", b"")))] == [("empty", 0, None)]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (form(("a", b"x")), "application/json", "send the files as multipart/form-data"),
        (form(("a", b"x"))[:-20], "multipart/form-data; boundary=B", "broke off before its end"),
        (form(), "multipart/form-data; boundary=B", "no file in the field"),
        (form(("a", b"x"), field="other"), "multipart/form-data; boundary=B", "no file in the field"),
        (form(*[(str(i), b"x") for i in range(4)]), "multipart/form-data; boundary=B", "more than 3 files"),
        (b"garbage" * 10, "multipart/form-data; boundary=B", "not a valid multipart form"),
    ],
)
def test_a_wrong_upload_gets_one_clear_error(body: bytes, content_type: str, message: str) -> None:
    before = threading.active_count()
    with pytest.raises(InvalidRequest, match=message):
        receive(body, content_type=content_type)
    assert threading.active_count() <= before  # no writer is left waiting
