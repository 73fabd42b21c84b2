"""A run of the page begins on the page, wherever the thread was left by the one before. In a browser: tests/e2e/test_documents_page.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from tests.support.stand_in import serve
from tests.support.stand_in_state import State


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serve(State()) as address:
        monkeypatch.setenv("OPENBOOK_API_URL", address)
        yield
        streamlit.cache_resource.clear()  # closes the sessions' clients


def left_in_a_dialog() -> None:
    """The script, in a thread that has just drawn a dialog by itself."""
    from streamlit.delta_generator_singletons import context_dg_stack, get_dg_singleton_instance

    from app.ui.main import main

    dialog = get_dg_singleton_instance().event_dg._dialog(title="Source")
    context_dg_stack.set((*context_dg_stack.get(), dialog))
    main()


@pytest.mark.usefixtures("api")
def test_the_page_is_not_drawn_into_the_dialog_that_was_drawn_last() -> None:
    at = AppTest.from_function(left_in_a_dialog, default_timeout=30).run()
    assert not at.exception
    assert "Bring your documents" in "\n".join(str(element.value) for element in at.main.get("html"))
