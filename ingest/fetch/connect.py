"""From a host's name to a connected socket, by one resolution: what was checked is what is connected to."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from core.errors import FetchFailed, RunCancelled
from ingest.fetch.address import Allowed, Target, check_address

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]  # (host, port) -> addresses

CONNECT_TIMEOUT_S = 10.0
SILENCE_S = 20.0  # between two pieces
_LOOK_S = 0.1


def system_resolve(host: str, port: int) -> list[str]:
    """Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(target: Target, resolve: Resolve, timeout_s: float, allowed: Allowed) -> list[str]:
    """All addresses of a host, each of which may be connected to.

    Raises:
        FetchFailed: the name is not known, or one of its addresses may not be asked: then none is.
    """
    found = _in_time(lambda: resolve(target.host, target.port), timeout_s, target.host)
    if not found:
        raise FetchFailed(f"{target.host} has no address", code="unknown-host")
    for address in found:
        try:
            check_address(address, allowed.for_host(target.host))
        except FetchFailed as e:
            named = (
                e.message if target.host == address else f"{target.host} is at an address that is refused: {e.message}"
            )
            raise FetchFailed(named, code=e.code) from None
    return list(found)


def _in_time(resolve: Callable[[], Sequence[str]], timeout_s: float, host: str) -> Sequence[str]:
    """The system's resolver has no time limit of its own that we could set; a thread that it holds up is left behind."""
    answers: queue.Queue[Sequence[str] | OSError | UnicodeError] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(resolve())
        except (OSError, UnicodeError) as e:
            answers.put(e)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise FetchFailed(f"the name {host} was not resolved within {timeout_s:.0f} s", code="timeout") from None
    if isinstance(found, Exception):
        raise FetchFailed(f"the name {host} is not known ({found})", code="unknown-host") from found
    return found


def connect(addresses: Sequence[str], target: Target, timeout_s: float) -> socket.socket:
    """A socket to the first of ``addresses`` that answers. Raises FetchFailed if none does."""
    problem = ""
    for address in addresses:
        try:
            # A literal address: nothing is resolved here.
            sock = socket.create_connection((address, target.port), timeout=min(timeout_s, CONNECT_TIMEOUT_S))
        except OSError as e:
            problem = str(e)
            continue
        sock.settimeout(SILENCE_S)
        return sock
    raise FetchFailed(f"{target.host} does not answer ({problem})", code="unreachable")


def enwrap(sock: socket.socket, target: Target, tls: ssl.SSLContext | None) -> socket.socket:
    """TLS, whose certificate ``shake_hands`` verifies against the name of the host; nothing for http."""
    if target.scheme == "http":
        return sock
    context = tls or ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)


def shake_hands(sock: socket.socket, target: Target) -> None:
    """Raises FetchFailed if the certificate is not the host's, or there is no TLS at all."""
    if not isinstance(sock, ssl.SSLSocket):
        return
    try:
        sock.do_handshake()
    except ssl.SSLCertVerificationError as e:
        why = e.verify_message or str(e)
        raise FetchFailed(f"{target.host} has no certificate that can be trusted: {why}", code="tls") from e
    except (OSError, ValueError) as e:
        raise FetchFailed(f"{target.host} makes no secure connection ({e})", code="tls") from e


@contextmanager
def watched(sock: socket.socket, deadline: float, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Cuts the line at ``deadline`` (monotonic) or when cancelled: a server that sends a byte now and then stays within
    every timeout of a single read.

    Raises:
        FetchFailed: it was cut since the time was over. RunCancelled: it was cancelled.
    """
    over = threading.Event()
    why: list[str] = []

    def watch() -> None:
        while not over.wait(_LOOK_S):
            if time.monotonic() > deadline or cancelled():
                why.append("cancelled" if cancelled() else "time")
                with contextlib.suppress(OSError):  # it is closed already
                    # The plain socket's: that of TLS would take its state away under the reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, name="fetch-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        if why == ["cancelled"]:
            raise RunCancelled("cancelled while the page was fetched")
        if why:
            raise FetchFailed("it took too long: the connection was cut", code="timeout")
