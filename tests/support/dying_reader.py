"""A parsing child that dies whenever OCR looks at a picture it was not told to leave out."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from ingest.parse.child import Tell, main
from ingest.parse.document import ParsedDocument


def parse(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    limits = request["limits"]
    if limits["ocr"] == "auto":
        tell({"ocr": len(limits["ocr_skip"])})
        os.kill(os.getpid(), signal.SIGSEGV)
    text = f"left out: {limits['ocr_skip']}, ocr: {limits['ocr']}"
    return {"document": ParsedDocument(text=text, title="a", mime_type="application/pdf").to_wire()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], {"parse": parse}))
