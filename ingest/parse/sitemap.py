"""A sitemap, or an index of sitemaps (sitemaps.org, protocol 0.9): the URLs in it, in their order. Runs in the parsing child.

It knows XML, not which URLs may be fetched.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from core.errors import ParseFailed, TooLarge
from ingest.parse.document import ParseLimits
from ingest.parse.source import File

MAX_BYTES = 50 * 2**20  # what the protocol allows
GZIP = b"\x1f\x8b"
_RATIO_FROM = 2**20
_MAX_URL = 2000


@dataclass(frozen=True, slots=True)
class Sitemap:
    """``more``: how many further URLs it names."""

    kind: Literal["pages", "sitemaps"]
    urls: tuple[str, ...]
    more: int


def looks_like_sitemap(head: bytes, name: str) -> bool:
    """Whether a page that begins so is worth asking ``read_sitemap``."""
    return (
        b"<urlset" in head or b"<sitemapindex" in head or (head.startswith(GZIP) and name.endswith((".xml.gz", ".gz")))
    )


def read_sitemap(path: File, filename: str, limits: ParseLimits, most: int) -> Sitemap:
    """
    Args:
        most: how many URLs are given; the others are counted.

    Raises:
        ParseFailed: it is no sitemap (code ``no-sitemap``), or not well-formed.
        TooLarge: over 50 MiB.
    """
    from lxml import etree  # only the child reads XML

    data = path.read_bytes()
    if data.startswith(GZIP):
        data = _gunzip(data, filename, limits)
    if len(data) > MAX_BYTES:
        raise TooLarge(f"{filename} is a sitemap of more than {MAX_BYTES // 2**20} MiB", code="sitemap-too-large")
    try:
        # No huge_tree: libxml2 itself bounds depth and the length of a text.
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as e:
        raise ParseFailed(f"{filename} is no well-formed sitemap ({str(e)[:150]})", code="damaged") from e
    name = etree.QName(root).localname
    if name not in ("urlset", "sitemapindex"):
        raise ParseFailed(f"{filename} is XML, but no sitemap", code="no-sitemap")
    urls: dict[str, None] = {}
    for found in root.iterfind("{*}url/{*}loc" if name == "urlset" else "{*}sitemap/{*}loc"):
        url = "".join(map(str, found.itertext())).strip()
        if url and len(url) <= _MAX_URL:
            urls[url] = None
    kept = tuple(urls)[:most]
    return Sitemap("pages" if name == "urlset" else "sitemaps", kept, len(urls) - len(kept))


def _gunzip(data: bytes, filename: str, limits: ParseLimits) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = unpacker.decompress(data, MAX_BYTES + 1)
    except zlib.error as e:
        raise ParseFailed(f"{filename} is damaged ({e})", code="damaged") from e
    if len(found) > _RATIO_FROM and len(found) > limits.max_unpacked_ratio * len(data):
        raise TooLarge(f"{filename} is packed more than {limits.max_unpacked_ratio}:1", code="sitemap-too-large")
    return found
