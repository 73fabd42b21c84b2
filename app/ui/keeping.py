"""What was chosen or written on a page is still there after a visit to another one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import streamlit as st

_KEPT = "kept"  # key of a widget → what it last showed


def begin_with(key: str, value: Any, options: Collection[Any] | None = None) -> str:
    """``key``, for a widget that is to begin with what it showed last in this session, or with ``value``; called right before it is drawn.

    Streamlit forgets what a widget showed as soon as a page without it is drawn. Such a widget takes no default of its own.

    Args:
        value: a list for a widget of which several things can be chosen; None where the first option is None.
        options: what can be chosen now; what no longer can is left out.
    """
    kept = st.session_state.setdefault(_KEPT, {})
    if key in st.session_state:
        kept[key] = st.session_state[key]
        return key
    found = kept.get(key, value)
    if options is not None and isinstance(found, list):
        found = [one for one in found if one in options]
    elif options is not None and found not in options:
        found = value
    if found is not None:  # said by a state, it would be that nothing is chosen yet
        st.session_state[key] = found
    return key


def forget(*keys: str) -> None:
    """They begin anew."""
    for key in keys:
        st.session_state.pop(key, None)
        st.session_state.get(_KEPT, {}).pop(key, None)
