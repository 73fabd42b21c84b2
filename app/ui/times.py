"""Times of the API in the time zone of whoever looks."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st


def when_text(created_at: str) -> str:
    """``21 Nov 2026, 14:03``."""
    at = datetime.fromisoformat(created_at).astimezone(zone())
    return f"{at.day} {at:%b %Y, %H:%M}"


def zone() -> ZoneInfo:
    """The browser's; UTC where it does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
