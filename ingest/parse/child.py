"""The process in which files are parsed: ``python -m ingest.parse.child MEMORY_BYTES ANSWER_FD``.

Reads requests from standard input, one JSON line each, answers on ANSWER_FD, ends when its input ends. It is
started by ``ingest.parse.sandbox`` and of no use by itself. Parsers are imported when first needed.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import OpenbookError
from ingest.parse.confine import allow_cpu, confine
from ingest.parse.document import ParseLimits
from ingest.parse.wire import encode_frame

# One answer, or a stream of pieces: each goes out as it is made, and ``{"end": true}`` after the last.
Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[dict[str, Any]], Answer | Iterator[Answer]]


def main(arguments: Sequence[str], handlers: Mapping[str, Handler]) -> int:
    """Confines this process, then answers requests until standard input ends."""
    memory_bytes, answer_fd = int(arguments[0]), int(arguments[1])
    network = confine(memory_bytes)
    with open(answer_fd, "wb", buffering=0) as answers:
        _send(answers, {"ready": True, "network": network})
        for line in sys.stdin.buffer:
            for answer in _answers(json.loads(line), handlers):
                _send(answers, answer)
    return 0


def _send(stream: Any, answer: dict[str, Any]) -> None:
    view = memoryview(encode_frame(answer))
    while view:
        view = view[stream.write(view) :]


def _answers(request: dict[str, Any], handlers: Mapping[str, Handler]) -> Iterator[Answer]:
    name = request.get("filename", "the file")
    try:
        allow_cpu(float(request["cpu_s"]))
        answer = handlers[request["do"]](request)
        if isinstance(answer, dict):
            yield answer
        else:
            yield from answer
            yield {"end": True}
    except OpenbookError as e:
        yield {"error": {"type": type(e).__name__, "code": e.code, "message": e.message}}
    except MemoryError:
        message = f"{name} could not be read: it needs more memory than a file may take"
        yield {"error": {"type": "ParseFailed", "code": "too-complex", "message": message}}
    except Exception as e:  # noqa: BLE001  the parent turns it into a ParseFailed with this reason
        message = f"{name} could not be read ({type(e).__name__}: {e})"
        yield {"error": {"type": "ParseFailed", "code": "parse-failed", "message": message[:2000]}}


def parse(request: dict[str, Any]) -> dict[str, Any]:
    from ingest.parse.file import parse_file

    limits = ParseLimits.from_wire(request["limits"])
    path = Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    document = parse_file(
        path,
        request["filename"],
        limits,
        password=request.get("password"),
        progressed=lambda: allow_cpu(limits.stall_s),
    )
    return {"document": document.to_wire()}


def page(request: dict[str, Any]) -> dict[str, Any]:
    from ingest.parse.pdf_page import render_page, text_boxes

    path, number, password = Path(request["path"]), int(request["page"]), request.get("password")
    boxes = [
        box
        for start, end in request["passages"]
        for box in text_boxes(path, number, start, end, page_text=request["page_text"], password=password)
    ]
    png = render_page(path, number, boxes, int(request["width_px"]), password=password)
    return {"png": base64.b64encode(png).decode("ascii")}


def members(request: dict[str, Any]) -> dict[str, Any]:
    from ingest.parse.members import survey

    limits, path = ParseLimits.from_wire(request["limits"]), Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    found = survey(path, request["filename"], limits)
    return {"members": [[m.index, m.name, m.size] for m in found.members], "skipped": [list(s) for s in found.skipped]}


def member(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from ingest.parse.members import read_member

    limits, path = ParseLimits.from_wire(request["limits"]), Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    for piece in read_member(path, request["filename"], int(request["index"]), limits):
        yield {"piece": base64.b64encode(piece).decode("ascii")}


def sitemap(request: dict[str, Any]) -> dict[str, Any]:
    from ingest.parse.sitemap import read_sitemap

    limits, path = ParseLimits.from_wire(request["limits"]), Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    found = read_sitemap(path, request["filename"], limits, int(request["most"]))
    return {"kind": found.kind, "urls": list(found.urls), "more": found.more}


HANDLERS: Mapping[str, Handler] = {
    "parse": parse,
    "page": page,
    "members": members,
    "member": member,
    "sitemap": sitemap,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], HANDLERS))
