"""The process in which files are parsed: ``python -m ingest.parse.child MEMORY_BYTES ANSWER_FD``.

Reads requests from standard input, one JSON line each, answers on ANSWER_FD, ends when its input ends. It is
started by ``ingest.parse.sandbox`` and of no use by itself. Parsers are imported when first needed.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import OpenbookError
from ingest.parse.confine import allow_cpu, confine
from ingest.parse.document import ParseLimits
from ingest.parse.wire import encode_frame

Tell: TypeAlias = Callable[[dict[str, Any]], None]  # sends the parent a note, before the answer
Handler: TypeAlias = Callable[[dict[str, Any], Tell], dict[str, Any]]


def main(arguments: Sequence[str], handlers: Mapping[str, Handler]) -> int:
    """Confines this process, then answers requests until standard input ends."""
    memory_bytes, answer_fd = int(arguments[0]), int(arguments[1])
    network = confine(memory_bytes)
    with open(answer_fd, "wb", buffering=0) as answers:
        _send(answers, {"ready": True, "network": network})

        def tell(note: dict[str, Any]) -> None:
            _send(answers, {"note": note})

        for line in sys.stdin.buffer:
            _send(answers, _answer(json.loads(line), handlers, tell))
    return 0


def _send(stream: Any, answer: dict[str, Any]) -> None:
    view = memoryview(encode_frame(answer))
    while view:
        view = view[stream.write(view) :]


def _answer(request: dict[str, Any], handlers: Mapping[str, Handler], tell: Tell) -> dict[str, Any]:
    name = request.get("filename", "the file")
    try:
        allow_cpu(float(request["cpu_s"]))
        return handlers[request["do"]](request, tell)
    except OpenbookError as e:
        return {"error": {"type": type(e).__name__, "code": e.code, "message": e.message}}
    except MemoryError:
        message = f"{name} could not be read: it needs more memory than a file may take"
        return {"error": {"type": "ParseFailed", "code": "too-complex", "message": message}}
    except Exception as e:  # noqa: BLE001  the parent turns it into a ParseFailed with this reason
        message = f"{name} could not be read ({type(e).__name__}: {e})"
        return {"error": {"type": "ParseFailed", "code": "parse-failed", "message": message[:2000]}}


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


HANDLERS: Mapping[str, Handler] = {"parse": parse, "page": page}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], HANDLERS))
