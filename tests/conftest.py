"""What every test shares: where the development data lies, and that nothing reaches a network model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from retrieval.encoders.openvino import OpenVinoEncoder

# A test that needs a hub model builds a tiny one; nothing is ever fetched.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for _key in [k for k in os.environ if k.startswith("OPENBOOK_") and not k.startswith("OPENBOOK_TEST_")]:
    del os.environ[_key]

# How fast examples are made and tried says how busy the machine is, not whether the product is right.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make test` tries the same examples every time, so that it fails for a change and not by luck; `make test-slow` looks for
# new ones (and what it finds becomes an @example).
settings.register_profile("repeatable", _UNTIMED, derandomize=True)
settings.register_profile("searching", _UNTIMED, derandomize=False)
settings.load_profile("searching" if os.environ.get("OPENBOOK_TEST_SEARCH") == "1" else "repeatable")

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; tests that need it are skipped without it."""
    path = Path(os.environ.get("OPENBOOK_TEST_DATA", REPO.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("development data is not beside the checkout")
    return path


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Converted models are kept between test runs: conversion takes longer than the tests."""
    path = Path(os.environ.get("OPENBOOK_TEST_CACHE", Path.home() / ".cache" / "openbook-tests"))
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def encoder(model_cache: Path) -> OpenVinoEncoder:
    """The packaged encoder, loaded once for all tests."""
    from retrieval.encoders.openvino import OpenVinoEncoder

    encoder = OpenVinoEncoder(cache_dir=model_cache, threads=2)
    encoder.load()
    return encoder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: the driver keeps an event loop running in this thread, beside which nothing else can
    run one."""
    items.sort(key=lambda item: "browser" in item.keywords)
