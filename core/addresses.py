"""An address that has a sign-in in it, ``http://user:secret@host/v1``, in its two parts: what may be told, and what may not.

It reads what somebody has set; it opens nothing.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from core.errors import InvalidRequest

# A ? after what can only be host and port begins a query, and an @ in there is nobody's sign-in; passwords have them, too.
_SIGNED = re.compile(r"(https?://)(?!(?:[\w.-]+|\[[\da-f:.]+\])(?::\d*)?\?)([^/\s]*)@", re.IGNORECASE)


def without_sign_in(address: str, setting: str) -> tuple[str, tuple[str, str] | None]:
    """(the address without its sign-in, user and password), None where there is no sign-in.

    Args:
        setting: what it is called, for the error.

    Raises:
        InvalidRequest: it cannot be read as an address, code "bad-settings". The error does not repeat it.
    """
    found = _SIGNED.match(address)
    told = address if found is None else found[1] + address[found.end() :]
    try:
        _ = urlsplit(told).port
    except ValueError:
        # "from None": the reason quotes what may be half of a password.
        raise InvalidRequest(
            f"{setting} cannot be read as an address: it is http://host:port/…, and in a name or password before the host"
            " / is written %2F and @ is written %40",
            code="bad-settings",
        ) from None
    if found is None:
        return told, None
    user, _, password = found[2].partition(":")
    return told, (unquote(user), unquote(password))
