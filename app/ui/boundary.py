"""Where errors become one clear message: no page, dialog or fragment ever shows a traceback.

Streamlit's own way of stopping a script (its control exceptions are BaseExceptions) passes through.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from app.client import ApiError, ServerUnreachable
from app.ui import look
from core.errors import OpenbookError

log = logging.getLogger(__name__)
P = ParamSpec("P")


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """Draws a card in place of whatever ``function`` could not draw."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except ServerUnreachable as e:
            look.card("The server does not answer", e.message, kind="error")
            _again(function.__name__)
        except OpenbookError as e:
            look.card("That did not work", explain(e), kind="error")
            _again(function.__name__)
        except Exception:
            log.exception("drawing %s failed", function.__name__)
            look.card("Something went wrong here", "The details are in the server's log.", kind="error")
            _again(function.__name__)

    return wrapped


def explain(error: OpenbookError) -> str:
    """The error for a person, with what to do about it where the message does not say."""
    if isinstance(error, ApiError) and error.status == 401:
        return "You are signed out, or this page was open for too long: load it anew to sign in."
    if isinstance(error, ApiError) and error.status == 429:
        wait = f" in {error.retry_after_s} s" if error.retry_after_s else " in a moment"
        return f"{error.message}. Try again{wait}."
    return error.message


def _again(name: str) -> None:
    # A plain button: pressing it runs the script anew, which is all that is needed.
    st.button("Try again", key=f"again-{name}", icon=":material/refresh:")
