"""The encoding that a server names for a page, which counts for more than what the page says of itself.

A page is stored without what came with it, and is read again from its bytes alone. So a page that would be read otherwise is
stored as UTF-8 with a mark, as HTML of a mail is; every other page stays as it came.
Source: WHATWG HTML, "determining the character encoding": the mark, then the server, then the page.
"""

from __future__ import annotations

import codecs
from typing import IO

from ingest.fetch.page import Page
from ingest.parse.web_encoding import MARKS, codec_of, declared

_HTML = ("text/html", "application/xhtml+xml")
_TEXTS = (*_HTML, "text/plain", "text/csv", "text/tab-separated-values", "text/markdown", "text/x-rst")
_MOST_BYTES = 16 * 2**20  # of a page that is written anew, in memory; what is larger is no page that a person wrote


def write_as_served(file: IO[bytes], page: Page) -> None:
    """Writes ``file`` anew where the server names another encoding than would be found; where it names a wrong one, the bytes
    stay and say it themselves."""
    codec = codec_of(page.charset) if page.content_type in _TEXTS else None
    if codec is None or page.size > _MOST_BYTES:
        return
    file.seek(0)
    data = file.read()
    found = declared(data) if page.content_type in _HTML else None
    if data.startswith(MARKS) or found == codec or (found is None and codec == "utf-8"):
        return
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return
    if text.isascii() and data.isascii():
        return
    file.seek(0)
    file.truncate()
    file.write(codecs.BOM_UTF8 + text.encode("utf-8", "replace"))
