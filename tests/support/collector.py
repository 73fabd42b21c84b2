"""A small OpenTelemetry collector: takes spans over HTTP as OTLP/JSON and keeps them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Collector:
    """``status`` and ``reply`` are what it answers, after ``delay_s``."""

    url: str = ""
    status: int = 200
    reply: dict[str, Any] = field(default_factory=dict)
    delay_s: float = 0.0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def spans(self) -> list[dict[str, Any]]:
        return [
            span
            for _, _, body in list(self.requests)
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def named(self, name: str, within_s: float = 20.0, *, trace_id: str = "") -> dict[str, Any]:
        """The last span of that name, once there is one."""
        deadline = time.monotonic() + within_s
        while True:
            found = [s for s in self.spans() if s["name"] == name and (not trace_id or s["traceId"] == trace_id)]
            if found:
                return found[-1]
            assert time.monotonic() < deadline, f"no span {name!r} among {sorted({s['name'] for s in self.spans()})}"
            time.sleep(0.05)


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}


@contextmanager
def collector(**how: Any) -> Iterator[Collector]:
    made = Collector(**how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(made.delay_s)
            made.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            reply = json.dumps(made.reply).encode()
            self.send_response(made.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
