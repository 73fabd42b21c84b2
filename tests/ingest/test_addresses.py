"""Which URLs and addresses may be asked: every spelling of what is not public is refused, and what is public is not."""

from __future__ import annotations

import pytest

from core.errors import FetchFailed, InvalidRequest
from ingest.fetch.address import check_address, parse_allowed, parse_url, shown_url

# As a host in a URL. Each must be refused as a URL or as an address, by the setting that is the default.
_REFUSED = """
127.0.0.1 127.1.2.3 127.255.255.254 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.1
169.254.169.254 169.254.0.1 0.0.0.0 0.1.2.3 100.64.0.1 100.127.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1
198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
2130706433 017700000001 0x7f000001 0x7f.0.0.1 0177.0.0.1 127.1 127.0.1 0x7f.1 00127.0.0.1 1.2.3 1.2.3.4.5 256.1.1.1 127.0.0.1.
０１２７.0.0.1 １２７.0.0.1 127。0。0。1 ①②⑦.0.0.1
[::1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [0:0:0:0:0:ffff:7f00:0001]
[::ffff:0:127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::169.254.169.254] [64:ff9b:1::1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2001::1]
[2001:0:7f00:1::] [2001:db8::1] [3fff::1] [fe80::1] [fe80::1%25eth0] [fec0::1] [fc00::1] [fd12:3456::1] [ff02::1] [100::1] [4000::1]
"""
REFUSED = _REFUSED.split()
PUBLIC = "93.184.216.34 8.8.8.8 1.1.1.1 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.1 [2606:4700::1111] [2a00:1450:4001::200e]"


@pytest.mark.parametrize("host", REFUSED)
def test_no_spelling_of_an_address_that_is_not_public_is_asked(host: str) -> None:
    with pytest.raises((InvalidRequest, FetchFailed)):
        check_address(parse_url(f"http://{host}/").host)


def test_the_table_is_long_enough() -> None:
    assert len(set(REFUSED)) >= 70


@pytest.mark.parametrize("host", PUBLIC.split())
def test_public_addresses_are_asked(host: str) -> None:
    assert str(check_address(parse_url(f"https://{host}/").host)) == host.strip("[]")


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "javascript:alert(1)", "//example.org/",
        "example.org", "http:///x", "http://", "http://user@example.org/", "http://user:pass@example.org/",
        "http://example.org\\@127.0.0.1/", "http://exa mple.org/", "http://example.org/\r\nHost: evil", "http://example.org:0/",
        "http://example.org:99999/", "http://example.org:80x/", "http://[::1", "http://[::g]/", "http://-a.org/", "http://a..b/",
        "http://" + "a" * 64 + ".org/", "http://example.org/" + "x" * 2000, "http://exa\u0000mple.org/", "http://%31%32%37.0.0.1/",
    ],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused_as_one(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_url(url)
    assert "pass" not in refused.value.message or "password" in refused.value.message


@pytest.mark.parametrize(
    ("url", "one_form"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("http://example.org:80/a b".replace(" ", "%20"), "http://example.org/a%20b"),
        ("https://example.org:443/?q=ä", "https://example.org/?q=%C3%A4"),
        ("https://example.org./x#part", "https://example.org/x"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[2606:4700:0:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://example.org/a/../b?x=1&y=%2F", "http://example.org/a/../b?x=1&y=%2F"),
    ],
)
def test_a_url_has_one_form(url: str, one_form: str) -> None:
    assert parse_url(url).url == one_form
    assert parse_url(one_form).url == one_form


def test_a_setting_lets_private_networks_in_but_never_what_is_link_local() -> None:
    allowed = parse_allowed(["10.1.0.0/16", "127.0.0.1", "::1", "wiki.intern"])
    assert str(check_address("10.1.2.3", allowed)) == "10.1.2.3"
    assert str(check_address("::1", allowed)) == "::1"
    for text in ("10.2.0.1", "127.0.0.2", "169.254.169.254", "::ffff:10.1.2.3"):
        with pytest.raises(FetchFailed):
            check_address(text, allowed)
    of_host = allowed.for_host("wiki.intern")
    assert str(check_address("192.168.7.7", of_host)) == "192.168.7.7"
    for text in ("169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1"):
        with pytest.raises(FetchFailed):
            check_address(text, of_host)


@pytest.mark.parametrize("entry", ["169.254.0.0/16", "0.0.0.0/0", "::/0", "8.8.8.8", "10.0.0.0/7", "10.0.0.1/8", "a b"])
def test_the_setting_allows_nothing_else(entry: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_allowed([entry])


def test_what_is_shown_of_a_bad_url_has_no_credentials() -> None:
    assert shown_url("http://me:secret@example.org/x\u202e") == "http://example.org/x\u202e".replace("\u202e", "\u202e")
    assert "secret" not in shown_url("ftp://me:secret@example.org/")
