"""Which URLs and which addresses may be asked. Pure: it resolves nothing and connects to nothing.

A public name may point to a private address, and a private address has many spellings. So a URL is brought into one form,
a host that looks like a number must be a plain IPv4 address, and every address that a name has is checked by its value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from core.errors import FetchFailed, InvalidRequest

MAX_URL = 2000  # characters
_PORTS = {"http": 80, "https": 443}
_FORBIDDEN = re.compile(r"[\s\\\x00-\x1f\x7f]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_PATH_SAFE = "/%:=&~+!$,;'@()*-._"

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# What no setting allows: no server of anybody's intranet is there, but the keys of clouds are (169.254.169.254).
_NEVER = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24",
        "::/128", "fe80::/10", "fec0::/10", "ff00::/8",
    )
]  # fmt: skip
# What the setting ``url_allow`` can allow.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
]
# For tests of networks and for documents: nobody is there.
_NOBODY = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
]
# IPv6 forms with an IPv4 address in them, and tunnels: through them a private address could be spelled once more.
_DISGUISES = [
    ipaddress.ip_network(text)
    for text in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
    )
]
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its one form. ``host`` is a name (ASCII) or an address without brackets; ``path`` has the query."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        return urlunsplit((self.scheme, self.authority, "", "", ""))

    @property
    def authority(self) -> str:
        """What goes into the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def parse_url(text: str) -> Target:
    """Brings ``text`` into one form: scheme and host in small letters, no default port, no fragment.

    Raises:
        InvalidRequest: not http or https, a name and password in it, a host that cannot be one, too long. Its message
            repeats no credentials.
    """
    if len(text) > MAX_URL:
        raise InvalidRequest(f"a URL of {len(text):,} characters is over the limit of {MAX_URL:,}", code="bad-url")
    if not text or _FORBIDDEN.search(text):
        raise InvalidRequest("a URL has no spaces, backslashes or control characters in it", code="bad-url")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as e:
        raise InvalidRequest(f"that is not a URL ({e})", code="bad-url") from e
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        found = f"{scheme}:" if scheme else "no scheme"
        raise InvalidRequest(f"a URL begins with http:// or https://, and this one has {found}", code="bad-url")
    if "@" in parts.netloc:
        raise InvalidRequest("a URL with a name and password in it is not fetched: take them out", code="bad-url")
    host = _host(parts.hostname or "", bracketed=parts.netloc.startswith("["))
    port = _PORTS[scheme] if port is None else port
    if port == 0:
        raise InvalidRequest("port 0 is no port", code="bad-url")
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        path += "?" + quote(parts.query, safe=_PATH_SAFE + "?")
    target = Target("", scheme, host, port, path)
    return Target(target.origin + path, scheme, host, port, path)


def shown_url(text: str) -> str:
    """Any text that was sent as a URL, for a list of jobs: without credentials and what cannot be printed, shortened."""
    return re.sub(r"//[^/@\s]*@", "//", _FORBIDDEN.sub("", text))[:300] or "(no URL)"


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            found = ipaddress.IPv6Address(host)
        except ValueError as e:
            raise InvalidRequest(f"{host!r} is no IPv6 address", code="bad-url") from e
        if found.scope_id is not None:
            raise InvalidRequest(f"{host!r} names a network interface: leave out what follows %", code="bad-url")
        return str(found)
    try:
        # As resolvers see it: other scripts' digits and full stops become plain ones here, before anything is checked.
        host = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as e:
        raise InvalidRequest(f"{host!r} is no name of a host", code="bad-url") from e
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise InvalidRequest(f"{host!r} is no name of a host" if host else "the URL names no host", code="bad-url")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # Resolvers take 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 for 127.0.0.1; people write four plain numbers.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as e:
            raise InvalidRequest(
                f"{host!r} is no plain IPv4 address: write four numbers from 0 to 255, without leading zeros",
                code="bad-url",
            ) from e
    return host


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting allows of this machine's and of private networks: some networks, and all of them for some hosts."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def for_host(self, host: str) -> Allowed:
        """The same as networks only, for the addresses of one host."""
        return Allowed(networks=tuple(_PRIVATE)) if host in self.hosts else Allowed(networks=self.networks)


NOTHING = Allowed()


def parse_allowed(entries: Sequence[str]) -> Allowed:
    """
    Args:
        entries: addresses, networks (``10.1.0.0/16``) and names of hosts.

    Raises:
        InvalidRequest: one that is none of these, or a network that may never be asked.
    """
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    hosts: set[str] = set()
    for entry in entries:
        try:
            network = ipaddress.ip_network(entry)
        except ValueError as e:
            if "/" in entry or ":" in entry:
                raise InvalidRequest(
                    f"url_allow: {entry!r} is no network ({e}): write for example 10.1.0.0/16, or a host's name",
                    code="bad-settings",
                ) from e
            hosts.add(_host(entry, bracketed=False))
            continue
        if not any(network.version == p.version and network.subnet_of(p) for p in _PRIVATE):  # type: ignore[arg-type]
            raise InvalidRequest(
                f"url_allow: {entry} is not within a private network or loopback: what is public needs no permission, "
                "and what is link-local or reserved gets none",
                code="bad-settings",
            )
        networks.append(network)
    return Allowed(tuple(networks), frozenset(hosts))


def check_address(text: str, allowed: Allowed = NOTHING) -> IPAddress:
    """The address, if it may be connected to.

    Args:
        allowed: its networks pass, which are loopback, private, shared (CGNAT) or unique local; link-local, multicast,
            reserved and disguised addresses never pass.

    Raises:
        FetchFailed: it may not; the message says what it is.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as e:
        raise FetchFailed(f"{text!r} is no address", code="address-refused") from e
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise _refused(address, "bound to a network interface")
    if _within(address, _NEVER):
        raise _refused(address, "link-local, multicast or reserved")
    if _within(address, _PRIVATE):
        if _within(address, allowed.networks):
            return address
        raise FetchFailed(
            f"{address} is an address of this machine or of a private network, which is not fetched from: name it, its "
            "network or the host in the setting url_allow if that is wanted",
            code="address-refused",
        )
    if _within(address, _DISGUISES):
        raise _refused(address, "an IPv4 address in an IPv6 form, or a tunnel's")
    if _within(address, _NOBODY):
        raise _refused(address, "set aside for documentation and tests")
    if address.version == 6 and address not in _GLOBAL_V6:
        raise _refused(address, "no public address")
    # What a newer list of reserved ranges knows.
    if not address.is_global or address.is_multicast or address.is_reserved:
        raise _refused(address, "no public address")
    return address


def _within(address: IPAddress, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _refused(address: IPAddress, what: str) -> FetchFailed:
    return FetchFailed(f"{address} is {what}, which is not fetched from", code="address-refused")
