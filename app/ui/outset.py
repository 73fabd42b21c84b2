"""Where a run of the page's script begins to draw.

Streamlit runs a dialog or another fragment by itself by pointing the thread at its place, and leaves the thread there when
it has ended well (seen in 1.67; a run that is broken off is put right, https://github.com/streamlit/streamlit/pull/8798). A
click that comes before the thread has ended, which collecting garbage makes a tenth of a second, is served by the same
thread: the whole page was then drawn into the dialog.
"""

from __future__ import annotations

from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value


def begin_on_the_page() -> None:
    """First thing in each run of the whole script; a fragment's own run never comes here."""
    context_dg_stack.set(get_default_dg_stack_value())
