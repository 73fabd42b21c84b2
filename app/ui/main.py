"""The entry that Streamlit runs: the pages, and what they share. Run it with ``openbook serve``.

The environment gives the API's address (OPENBOOK_API_URL); who looks at the page, its cookie says (see ``front``).
"""

from __future__ import annotations

import streamlit as st

from app.ui import look
from app.ui.account_page import account_page
from app.ui.boundary import guarded
from app.ui.chat_page import chat_page
from app.ui.check_page import check_page
from app.ui.collections_page import collections_page
from app.ui.evaluate_page import evaluate_page
from app.ui.outset import begin_on_the_page
from app.ui.people_page import people_page
from app.ui.readiness import wait_until_ready
from app.ui.search_page import search_page
from app.ui.shortcuts import draw_shortcuts_button, follow_wish, wished
from app.ui.signals import heard, listen
from app.ui.system_page import system_page
from app.ui.traces_page import traces_page
from app.ui.who import draw_person, me, signs_in, who


@guarded
def main() -> None:
    begin_on_the_page()
    st.set_page_config(
        page_title="Openbook",
        page_icon=str(look.ASSETS / "icon-light.svg"),
        layout="centered",
        menu_items={
            "Get help": None,
            "Report a bug": None,
            "About": "**Openbook** answers from your own documents, and shows its work.",
        },
    )
    look.apply_look()
    who()
    pages = {
        "chat": st.Page(chat_page, title="Chat", icon=":material/forum:", url_path="chat", default=True),
        "collections": st.Page(
            collections_page, title="Collections", icon=":material/folder_open:", url_path="collections"
        ),
        "search": st.Page(search_page, title="Search", icon=":material/search:", url_path="search"),
        "check": st.Page(check_page, title="Check", icon=":material/fact_check:", url_path="check"),
        "evaluate": st.Page(evaluate_page, title="Evaluate", icon=":material/science:", url_path="evaluate"),
        "traces": st.Page(traces_page, title="Traces", icon=":material/timeline:", url_path="traces"),
        "system": st.Page(system_page, title="System", icon=":material/monitor_heart:", url_path="system"),
    }
    if signs_in():
        pages["account"] = st.Page(account_page, title="Account", icon=":material/account_circle:", url_path="account")
    if signs_in() and me()["is_admin"]:
        pages["people"] = st.Page(people_page, title="People", icon=":material/group:", url_path="people")
    st.session_state["pages"] = pages
    page = st.navigation(list(pages.values()))
    listen()
    wait_until_ready()
    follow_wish("help" if wished() else heard().wish, pages, page)
    page.run()
    draw_shortcuts_button()
    draw_person()


if __name__ == "__main__":
    main()
