"""Waiting for a server's models, and knowing when waiting is in vain."""

from __future__ import annotations

import time

from app.client import Client, ServerUnreachable
from core.errors import NotReady

_SPARED = ("language model", "reranker")  # searching goes on without them


def wait_until_ready(client: Client, timeout_s: float) -> None:
    """Returns once searching works. Raises NotReady when a part failed or the time is up."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.02
    while True:
        try:
            state = client.ready()
        except ServerUnreachable:
            if time.monotonic() > deadline:
                raise
        else:
            if state["ready"]:
                return
            failed = [p for p in state["loading"] if p["state"] == "failed" and p["name"] not in _SPARED]
            if failed:
                raise NotReady("; ".join(f"{p['name']}: {p['detail']}" for p in failed))
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {timeout_s:.0f} s: see the server's log")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.5)


def wait_for_lm(client: Client, timeout_s: float) -> None:
    """Returns once the language model is loaded, or is known not to come."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        parts = [p for p in client.ready()["loading"] if p["name"] == "language model"]
        if parts and parts[0]["state"] in ("ready", "failed", "off"):
            return
        time.sleep(0.1)


def left(remaining_s: float | None) -> str:
    """How long it will still take, for people."""
    return "" if remaining_s is None else f"{about(remaining_s)} left"


def about(seconds: float) -> str:
    """A time, for people, as roughly as it is known."""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
