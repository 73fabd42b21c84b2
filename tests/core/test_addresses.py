"""Addresses and the sign-in in them."""

from __future__ import annotations

import traceback

import pytest

from core.addresses import without_sign_in
from core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("address", "told", "sign_in"),
    [
        ("http://h:8001/v1", "http://h:8001/v1", None),
        ("http://[::1]:8001/v1", "http://[::1]:8001/v1", None),
        ("https://u:p@h/v1", "https://h/v1", ("u", "p")),
        ("https://token@h/v1", "https://h/v1", ("token", "")),
        ("https://u:a%40b%2Fc:d@h:1/v1", "https://h:1/v1", ("u", "a@b/c:d")),
        ("https://u:p@ss#word?@h/v1", "https://h/v1", ("u", "p@ss#word?")),  # as people write it
        ("https://h/@team/v1", "https://h/@team/v1", None),
        ("https://h:4318?key=a@b.c", "https://h:4318?key=a@b.c", None),  # else the key went to b.c
        ("https://[::1]?for=me@b.c", "https://[::1]?for=me@b.c", None),
        ("", "", None),
    ],
)
def test_an_address_is_told_without_its_sign_in(address: str, told: str, sign_in: tuple[str, str] | None) -> None:
    assert without_sign_in(address, "lm_base_url") == (told, sign_in)


@pytest.mark.parametrize("address", ["http://u:SECRET/x@h/v1", "http://h:SECRET/v1"])
def test_what_cannot_be_read_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidRequest, match=r"lm_base_url cannot be read as an address.*%2F") as caught:
        without_sign_in(address, "lm_base_url")
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
