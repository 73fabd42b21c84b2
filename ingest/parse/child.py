"""The process in which files are parsed: ``python -m ingest.parse.child MEMORY_BYTES ANSWER_FD``.

Reads requests from standard input, one JSON line each, answers on ANSWER_FD, ends when its input ends. It is
started by ``ingest.parse.sandbox`` and of no use by itself. Parsers are imported when first needed.
"""

from __future__ import annotations

import base64
import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import OpenbookError
from ingest.parse.confine import allow_cpu, confine
from ingest.parse.document import ParseLimits
from ingest.parse.wire import encode_frame

Tell: TypeAlias = Callable[[dict[str, Any]], None]  # sends the parent a note, before the answer
# One answer, or a stream of pieces: each goes out as it is made, and ``{"end": true}`` after the last.
Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[dict[str, Any], Tell], Answer | Iterator[Answer]]

# A parser makes many small objects and keeps most of them until its file ends. With Python's own setting, 700, 10 and 10,
# an eighth of the time of a PDF goes into looking for circles among them.
_COLLECT_AFTER = (20_000, 20, 20)


def main(arguments: Sequence[str], handlers: Mapping[str, Handler]) -> int:
    """Confines this process, then answers requests until standard input ends."""
    memory_bytes, answer_fd = int(arguments[0]), int(arguments[1])
    gc.set_threshold(*_COLLECT_AFTER)
    network = confine(memory_bytes)
    with open(answer_fd, "wb", buffering=0) as answers:
        _send(answers, {"ready": True, "network": network})

        def tell(note: dict[str, Any]) -> None:
            _send(answers, {"note": note})

        for line in sys.stdin.buffer:
            for answer in _answers(json.loads(line), handlers, tell):
                _send(answers, answer)
    return 0


def _send(stream: Any, answer: dict[str, Any]) -> None:
    view = memoryview(encode_frame(answer))
    while view:
        view = view[stream.write(view) :]


def _answers(request: dict[str, Any], handlers: Mapping[str, Handler], tell: Tell) -> Iterator[Answer]:
    name = request.get("filename", "the file")
    try:
        allow_cpu(float(request["cpu_s"]))
        answer = handlers[request["do"]](request, tell)
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


def parse(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    from ingest.parse.file import parse_file

    limits = ParseLimits.from_wire(request["limits"])
    path = Path(request["path"])

    def before_ocr(count: int) -> None:
        tell({"ocr": count})
        allow_cpu(limits.stall_s + limits.ocr_page_s)

    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    document = parse_file(
        path,
        request["filename"],
        limits,
        password=request.get("password"),
        progressed=lambda: allow_cpu(limits.stall_s),
        before_ocr=before_ocr,
    )
    return {"document": document.to_wire()}


def page(request: dict[str, Any], _: Tell) -> dict[str, Any]:
    from ingest.parse.page_image import page_png

    png = page_png(
        Path(request["path"]),
        int(request["page"]),
        request["page_text"],
        request["passages"],
        int(request["width_px"]),
        password=request.get("password"),
        words=request.get("words", ""),
    )
    return {"png": base64.b64encode(png).decode("ascii")}


def members(request: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    from ingest.parse.members import survey

    limits, path = ParseLimits.from_wire(request["limits"]), Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    found = survey(path, request["filename"], limits)
    return {"members": [[m.index, m.name, m.size] for m in found.members], "skipped": [list(s) for s in found.skipped]}


def member(request: dict[str, Any], _tell: Tell) -> Iterator[dict[str, Any]]:
    from ingest.parse.members import read_member

    limits, path = ParseLimits.from_wire(request["limits"]), Path(request["path"])
    allow_cpu(min(limits.cpu_allowance(path.stat().st_size), limits.timeout_s))
    for piece in read_member(path, request["filename"], int(request["index"]), limits):
        yield {"piece": base64.b64encode(piece).decode("ascii")}


def sitemap(request: dict[str, Any], _tell: Tell) -> dict[str, Any]:
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
