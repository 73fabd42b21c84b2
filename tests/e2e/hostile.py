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
# Whatever an element may fetch from, each as its own payload.
FETCHING = {
    "img": "src srcset longdesc dynsrc lowsrc", "image": "src href xlink:href", "input type=image": "src",
    "source": "src srcset", "video autoplay": "src poster", "audio autoplay": "src", "track default": "src",
    "iframe": "src srcdoc longdesc", "frame": "src", "embed": "src code", "object": "data codebase classid archive",
    "applet": "code codebase", "param name=src": "value", "link rel=icon": "href", "link rel=preload as=image": "href",
    "link rel=dns-prefetch": "href", "link rel=preconnect": "href", "link rel=manifest": "href", "script": "src href",
    "script type=module": "src", "body": "background onload=x", "table": "background", "td": "background", "th": "background",
    "bgsound": "src", "portal": "src", "form action=x": "action", "button formaction=x": "formaction", "isindex": "action",
    "html": "manifest", "head": "profile", "blockquote": "cite", "q": "cite", "del": "cite", "ins": "cite", "area": "href",
    "a": "href ping", "svg": "xmlns onload=x", "use": "href xlink:href", "feimage": "href xlink:href", "script ": "xlink:href",
    "animate": "href", "set": "href", "mpath": "xlink:href", "textpath": "xlink:href", "pattern": "xlink:href",
    "lineargradient": "xlink:href", "math": "href xlink:href", "annotation-xml": "href", "xml": "src", "layer": "src",
    "ilayer": "src", "command": "icon", "menuitem": "icon", "model-viewer": "src", "amp-img": "src", "base": "href",
}  # fmt: skip
STYLES = [
    "background:url({u})", "background-image:url('{u}')", "list-style-image:url({u})", "cursor:url({u}),auto",
    "border-image:url({u}) 1", "content:url({u})", "mask:url({u})", "filter:url({u}#f)", "clip-path:url({u}#c)",
    "shape-outside:url({u})", "background:image-set('{u}' 1x)", "-moz-binding:url({u})", "behavior:url({u})",
    "background:u\\72l({u})",
]  # fmt: skip
EVENTS = [
    "onerror",
    "onload",
    "onfocus autofocus",
    "onmouseover",
    "onanimationstart",
    "onpointerenter",
    "onbegin",
    "onwheel",
]
MARKDOWN = [
    "![x]({u} 'title')", "![x](<{u}>)", "![x][]\n\n[x]: {u}", "![]({u})", "!\\[x]({u})", "[![]({u})](x)", "![x]( {u} )",
    "- ![x]({u})", "> ![x]({u})", "***![x]({u})***", "~~![x]({u})~~", "[^1]\n\n[^1]: ![x]({u})", "![x]({u})[1]",
    "[1]: {u}\n[1]", "![[{u}]]", "![x](//127.0.0.1:18739/canary/md)", "![x](http:\\\\127.0.0.1:18739/canary/md)",
    "\\![x]({u})", "![x\n]({u})", "| ![x]({u}) |", "<{u} >", "<!-- ![x]({u}) -->", ":::note\n![x]({u})\n:::", "$$\\href{{{u}}}{{x}}$$",
    ":red[![x]({u})]", ":material/![x]({u}):", "<img\nsrc\n=\n{u}>", "<IMG SRC={u}>", "<img/src={u}>", "<img\tsrc={u}>",
    "<im<b></b>g src={u}>", "<img src={u}", "&lt;img src=&quot;{u}&quot;&gt;", "&#x3c;img src={u}&#x3e;", "\\x3cimg src={u}\\x3e",
    "%3Cimg%20src={u}%3E", "＜img src={u}＞", "<img src='{u}' [1]>", "<svg><style>@import url({u})</style></svg>",
    "<style>@font-face{{font-family:x;src:url({u})}}</style>", "<xmp><img src={u}></xmp>", "<plaintext><img src={u}>",
]  # fmt: skip
PAYLOADS += [
    f"<{tag} {attribute}={{u}}>"
    for tag, named in FETCHING.items()
    for attribute in named.split()
    if "=" not in attribute
]
PAYLOADS += [f'<p style="{style}">x' for style in STYLES]
PAYLOADS += [f"<img src=x {event}=\"fetch('{{u}}')\">" for event in EVENTS]
PAYLOADS += [f'<svg><g style="{style}">x</g></svg>' for style in STYLES]
PAYLOADS += [f"<details open><summary {event}=\"import('{{u}}')\">x" for event in EVENTS]
PAYLOADS += MARKDOWN
PAYLOADS = list(dict.fromkeys(PAYLOADS))
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
