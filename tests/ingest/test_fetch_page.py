"""One page, fetched from a real server on loopback: one resolution per hop, every hop checked, everything bounded."""

from __future__ import annotations

import gzip
import io
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from core.errors import FetchFailed, RunCancelled, TooLarge
from ingest.fetch.address import parse_allowed, parse_url
from ingest.fetch.charset import write_as_served
from ingest.fetch.page import Fetching, Page, file_name
from ingest.fetch.permission import Permission
from tests.support.web import Reply, Web, web_server

LOOPBACK = parse_allowed(["127.0.0.1", "::1"])


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


class Names:
    """A resolver: what each name answers, time after time (the last answer stays), and what it was asked."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            return [host]
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]


def fetch(url: str, **options: object) -> tuple[Page, bytes]:
    values: dict[str, object] = {"max_bytes": 100_000, "timeout_s": 5.0, "allowed": LOOPBACK, **options}
    into = io.BytesIO()
    return Fetching(**values).fetch(url, into, lambda: False), into.getvalue()  # type: ignore[arg-type]


def test_a_page_comes_whole_with_what_the_server_says_of_it(web: Web) -> None:
    web.pages["/a/b"] = Reply(b"<p>hello</p>", headers={"ETag": '"7"', "Last-Modified": "yesterday"})
    page, body = fetch(web.url("/a/b"))
    assert body == b"<p>hello</p>"
    assert (page.url, page.name, page.content_type) == (web.url("/a/b"), "b.html", "text/html")
    assert (page.size, page.etag, page.last_modified) == (12, '"7"', "yesterday")


def test_loopback_is_refused_unless_a_setting_allows_it(web: Web) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(FetchFailed, match="this machine or of a private network"):
            fetch(web.url("/", host), allowed=parse_allowed([]))
    assert web.asked == []


def test_what_was_checked_is_what_is_connected_to(web: Web) -> None:
    """Rebinding: the second answer would be another address, so there must be no second question."""
    web.pages["/"] = Reply(b"hello")
    names = Names(rebind_test=[["127.0.0.1"], ["169.254.169.254"]])
    assert fetch(web.url("/", "rebind.test"), resolve=names)[1] == b"hello"
    assert names.asked == ["rebind.test"]
    assert web.asked == [("/", f"rebind.test:{web.port}")], "the Host header is the name"
    with pytest.raises(FetchFailed, match="link-local"):
        fetch(web.url("/", "rebind.test"), resolve=names)


@pytest.mark.parametrize(
    "answer", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1"], ["fe80::1%eth0"], ["nonsense"], []]
)  # fmt: skip
def test_one_address_that_is_refused_refuses_the_host(web: Web, answer: list[str]) -> None:
    with pytest.raises(FetchFailed):
        fetch(web.url("/", "mixed.test"), resolve=Names(mixed_test=[answer]))
    assert web.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.2/", "http://169.254.169.254/latest/", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://0x7f.1/",
     "file:///etc/passwd", "gopher://x/", "//10.0.0.1/", "http://inner.test/", "http://a:b@example.org/", ""],
)  # fmt: skip
def test_a_redirect_is_checked_as_the_first_url_was(web: Web, status: int, location: str) -> None:
    web.pages["/"] = Reply(status=status, headers={"Location": location})
    with pytest.raises(FetchFailed):
        fetch(web.url("/"), resolve=Names(inner_test=[["192.168.1.1"]]))
    assert [path for path, _ in web.asked] == ["/"]


def test_redirects_are_followed_and_counted(web: Web) -> None:
    web.pages["/start"] = Reply(status=302, headers={"Location": "next?x=1"})
    web.pages["/next?x=1"] = Reply(status=301, headers={"Location": web.url("/end")})
    web.pages["/end"] = Reply(b"here")
    page, body = fetch(web.url("/start"))
    assert (body, page.url) == (b"here", web.url("/end"))
    web.pages["/round"] = Reply(status=302, headers={"Location": "/round"})
    with pytest.raises(FetchFailed, match="more than 5 times"):
        fetch(web.url("/round"))
    assert [path for path, _ in web.asked].count("/round") == 6


def test_size_is_counted_and_not_believed(web: Web) -> None:
    web.pages["/big"] = Reply(b"x" * 100_001, length=10)
    assert len(fetch(web.url("/big"))[1]) == 10, "no more than was announced is read"
    web.pages["/big"] = Reply(b"x" * 100_001)
    with pytest.raises(TooLarge, match="100,000 bytes"):
        fetch(web.url("/big"))
    web.pages["/short"] = Reply(b"x" * 10, length=1000)
    with pytest.raises(FetchFailed, match="before its end"):
        fetch(web.url("/short"), timeout_s=2.0)


def test_what_is_packed_is_unpacked_within_the_bounds(web: Web) -> None:
    packed = {"Content-Encoding": "gzip"}
    web.pages["/good"] = Reply(gzip.compress(b"hello " * 1000), headers=packed)
    assert fetch(web.url("/good"))[1] == b"hello " * 1000
    web.pages["/bomb"] = Reply(gzip.compress(bytes(20_000_000)), headers=packed)
    with pytest.raises(FetchFailed, match="100:1"):
        fetch(web.url("/bomb"), max_bytes=50_000_000)
    with pytest.raises(TooLarge):
        fetch(web.url("/bomb"))
    web.pages["/cut"] = Reply(gzip.compress(b"hello")[:-9], headers=packed)
    with pytest.raises(FetchFailed, match="before its end"):
        fetch(web.url("/cut"))
    web.pages["/odd"] = Reply(b"x", headers={"Content-Encoding": "br"})
    with pytest.raises(FetchFailed, match="not asked for"):
        fetch(web.url("/odd"))


@pytest.mark.parametrize(
    "reply", [Reply(b"no", status=404), Reply(b"no", status=500), Reply(b""), Reply(b"", status=204)]
)
def test_an_error_or_an_empty_page_is_no_document(web: Web, reply: Reply) -> None:
    web.pages["/"] = reply
    with pytest.raises(FetchFailed):
        fetch(web.url("/"))


@pytest.fixture
def drip() -> Iterator[int]:
    """The port of a server that sends one byte now and then, for ever: each read is in time, the page never is."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        listener.settimeout(0.1)
        while not stop.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            with sock:
                try:
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    while not stop.wait(0.05):
                        sock.sendall(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    stop.set()
    thread.join()
    listener.close()


def test_a_page_that_drips_is_cut_in_time_and_at_once_when_cancelled(drip: int) -> None:
    begun = time.monotonic()
    with pytest.raises(FetchFailed, match="took too long"):
        fetch(f"http://127.0.0.1:{drip}/", timeout_s=1.0)
    assert time.monotonic() - begun < 2.5
    fetching = Fetching(max_bytes=1000, timeout_s=60.0, allowed=LOOPBACK)
    with pytest.raises(RunCancelled):
        fetching.fetch(f"http://127.0.0.1:{drip}/", io.BytesIO(), lambda: time.monotonic() - begun > 2.0)
    assert time.monotonic() - begun < 4.0


def test_a_resolver_that_hangs_is_left_behind() -> None:
    def hang(host: str, port: int) -> Sequence[str]:
        time.sleep(3)
        return ["127.0.0.1"]

    begun = time.monotonic()
    with pytest.raises(FetchFailed, match="not resolved within"):
        fetch("http://slow.test/", resolve=hang, timeout_s=0.5)
    assert time.monotonic() - begun < 2


def test_https_without_a_certificate_that_is_trusted_is_refused(web: Web) -> None:
    with pytest.raises(FetchFailed, match="secure connection"):  # this one does not even speak TLS
        fetch(web.url("/").replace("http:", "https:"))


@pytest.mark.parametrize(
    ("path", "content_type", "name"),
    [
        ("/", "text/html", "example.org.html"), ("/index.php?x=1", "text/html", "index.php.html"),
        ("/report.pdf", "application/pdf", "report.pdf"), ("/report.pdf", "text/html", "report.pdf.html"),
        ("/notes", "text/markdown", "notes.md"), ("/a/b/", "text/plain", "b.txt"), ("/%2e%2e%2fpasswd", "", "passwd"),
        ("/README.md", "text/plain", "README.md"), ("/x.html", "application/xhtml+xml", "x.html"),
    ],
)  # fmt: skip
def test_a_page_is_named_by_its_path_and_by_what_the_server_says(path: str, content_type: str, name: str) -> None:
    assert file_name(parse_url(f"http://example.org{path}"), content_type) == name


def test_robots_txt_is_asked_once_and_obeyed(web: Web) -> None:
    web.pages["/robots.txt"] = Reply(
        b"User-agent: openbook\nDisallow: /no\nAllow: /no/but\n", content_type="text/plain"
    )
    permission = Permission(Fetching(max_bytes=1000, timeout_s=5.0, allowed=LOOPBACK))
    for path in ("/yes", "/no/but/this"):
        permission.check(parse_url(web.url(path)), lambda: False)
    with pytest.raises(FetchFailed, match="Disallow: /no"):
        permission.check(parse_url(web.url("/no/x")), lambda: False)
    assert [path for path, _ in web.asked] == ["/robots.txt"]


@pytest.mark.parametrize(("status", "may"), [(404, True), (403, True), (500, False), (503, False)])
def test_no_robots_txt_allows_everything_and_a_broken_server_nothing(web: Web, status: int, may: bool) -> None:
    web.pages["/robots.txt"] = Reply(b"x", status=status)
    permission = Permission(Fetching(max_bytes=1000, timeout_s=5.0, allowed=LOOPBACK))
    if may:
        permission.check(parse_url(web.url("/x")), lambda: False)
    else:
        with pytest.raises(FetchFailed, match="cannot be told"):
            permission.check(parse_url(web.url("/x")), lambda: False)


NAME = "髙橋さん、①の料金"


@pytest.mark.parametrize(
    ("served", "page"),
    [
        ("text/html; charset=shift_jis", f"<p>{NAME}</p>".encode("cp932")),
        ('text/html; Charset="Shift_JIS"', f'<meta charset="utf-8"><p>{NAME}</p>'.encode("cp932")),
        ("text/html; charset=utf-8", f'<meta charset="iso-8859-1"><p>{NAME}</p>'.encode()),
        ("text/html; charset=iso-8859-1", f"<p>{NAME}</p>".encode("utf-8-sig")),
        ("text/html; charset=iso-8859-1", f'<meta charset="euc-jp"><p>{NAME}</p>'.encode("utf-16")),
        ("text/html; charset=no-such-thing", f'<meta charset="shift_jis"><p>{NAME}</p>'.encode("cp932")),
        ("text/html", f'<meta charset="shift_jis"><p>{NAME}</p>'.encode("cp932")),
        ("text/plain; charset=utf-16be", NAME.encode("utf-16-be")),
    ],
)
def test_a_mark_counts_for_more_than_the_server_and_the_server_for_more_than_the_page(
    web: Web, parse_bytes, served: str, page: bytes
) -> None:
    web.pages["/a"] = Reply(page, content_type=served)
    into = io.BytesIO()
    found = Fetching(max_bytes=100_000, timeout_s=5.0, allowed=LOOPBACK).fetch(web.url("/a"), into, lambda: False)
    write_as_served(into, found)
    assert parse_bytes(into.getvalue(), found.name).text == NAME


@pytest.mark.parametrize(
    ("served", "page"),
    [
        ("text/html; charset=utf-8", "<p>größer</p>".encode()),
        ("text/html; charset=utf-8", '<meta charset="utf-8"><p>größer</p>'.encode()),
        ("text/html; charset=utf-8", "<p>größer</p>".encode("windows-1252")),
        ("text/html; charset=iso-8859-1", b"<p>taller</p>"),
        ("text/html; charset=gb2312", '<meta charset="gbk"><p>契约</p>'.encode("gbk")),
        ("application/pdf; charset=utf-16", b"%PDF-1.7 \xe9\xe9"),
    ],
)
def test_a_page_that_would_be_read_so_in_any_case_stays_as_it_came(served: str, page: bytes) -> None:
    kind, _, charset = served.partition("; charset=")
    into = io.BytesIO(page)
    write_as_served(into, Page(url="http://a.example/", name="a", content_type=kind, size=len(page), charset=charset))
    assert into.getvalue() == page
