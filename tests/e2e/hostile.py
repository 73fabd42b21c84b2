"""Texts that would make a careless page fetch something: the canary counts who comes."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CANARY_PORT = 18_739  # named in the script of the model before the canary listens; nothing else uses it
URL = f"http://127.0.0.1:{CANARY_PORT}/canary"

PAYLOADS = [
    "![x]({u})",
    "![x][r]\n\n[r]: {u}",
    "[![x]({u})]({u})",
    "<{u}>",
    "{u}.png",
    "<img src={u}>",
    "<img src=x onerror=\"fetch('{u}')\">",
    "<picture><source srcset={u}><img></picture>",
    "<svg><image href='{u}'/></svg>",
    "<svg><use href='{u}#x'/></svg>",
    "<svg/onload=fetch('{u}')>",
    "<style>@import '{u}';</style>",
    "<style>body{{background:url({u})}}</style>",
    "<link rel=stylesheet href={u}>",
    "<link rel=prefetch href={u}>",
    "<script src={u}></script>",
    "<script>fetch('{u}')</script>",
    "<iframe src={u}></iframe>",
    "<embed src={u}>",
    "<object data={u}></object>",
    "<video autoplay poster={u} src={u}></video>",
    "<audio autoplay src={u}></audio>",
    "<input type=image src={u}>",
    "<body background={u}>",
    "<table background={u}><tr><td>x",
    "<p style='background:url({u})'>x</p>",
    "<meta http-equiv=refresh content='0;url={u}'>",
    "<base href={u}/>",
    "<details open ontoggle=fetch('{u}')>",
    "&lt;img src={u}&gt;",
    "&#60;img src={u}&#62;",
    "```\n</code></pre><img src={u}>\n```",
    "`</code><img src={u}>`",
    "| a |\n|---|\n| ![x]({u}) |",
    "# ![x]({u})",
    "> <img src={u}>",
    "1. <img src={u}>",
    "**<img src={u}>**",
    '" style="background:url({u})" x="',
    "' onmouseover='fetch(`{u}`)",
    "<!-- --><img src={u}>",
    "<![CDATA[<img src={u}>]]>",
    "$$\\includegraphics{{{u}}}$$",
    ":material/home: ![x]({u})",
    "[x]: {u}\n![x]",
    "<math><mtext><img src={u}></mtext></math>",
    "<noscript><img src={u}></noscript>",
    "<template><img src={u}></template>",
    "<img srcset='{u} 2x'>",
    "<a href={u} ping={u}>x</a>",
]
HOSTILE = [payload.format(u=f"{URL}/{number}") for number, payload in enumerate(PAYLOADS)]
HOSTILE_ANSWER = "These are the payloads [1].\n\n" + "\n\n".join(HOSTILE) + "\n\nThat was all."


@contextmanager
def canary() -> Iterator[list[str]]:
    """Listens at URL's port and yields the list of paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", CANARY_PORT), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
