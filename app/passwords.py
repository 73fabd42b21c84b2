"""Passwords: what may be one, and how one is kept and checked. It knows no person.

argon2id (RFC 9106) of the ``cryptography`` package, with 46 MiB and two passes, which is over the first choice of OWASP's
password storage cheat sheet (46 MiB, one pass). The PHC string says with what it was made, so that more can be asked later.
"""

from __future__ import annotations

import secrets
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from core.errors import InvalidRequest

MEMORY_KIB = 46 * 1024
PASSES = 2
MIN_CHARACTERS = 10  # of any kind: length is what helps, rules of composition do not (NIST SP 800-63B)
MAX_CHARACTERS = 256


def check_password(password: str, name: str = "") -> str:
    """Returns ``password``; raises InvalidRequest if it cannot be one, without repeating it."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InvalidRequest(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, not {len(password)}: "
            "a few words that nobody guesses do well",
            code="bad-password",
        )
    if len(set(password)) < 4 or (name and password.casefold() in (name.casefold(), name.casefold() * 2)):
        raise InvalidRequest("that password is guessed at once: take a few words", code="bad-password")
    return password


def hash_password(password: str) -> str:
    """A PHC string, with a salt of its own. Takes a quarter of a second, on purpose."""
    kdf = Argon2id(salt=secrets.token_bytes(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(_bytes(password))


def is_password(password: str, phc: str) -> bool:
    """Whether ``phc`` was made of ``password``."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password), phc)
    except InvalidKey:
        return False
    return True


def _bytes(password: str) -> bytes:
    # Two keyboards may write the same letter in two ways.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
