"""How long after a press the page shows that it was heard, and how long until it is drawn, for the main controls of each page.

    openbook bench clicks -- [--rounds 5] [--width 1280]

A server of its own with forty documents and thirty conversations, its page in Chromium, one person. The model is scripted: how long an
answer takes is measured elsewhere. The sign is the first frame in which anything to be seen is other than when the control was pressed: the line along the
top, a dialog, a list, a spinner, a field, a word. ``clicks.js`` looks. Needs Chromium, and playwright from `make env-dev`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright

from app.client import Client
from bench.served import served
from core.errors import OpenbookError
from ingest.job import FINAL_STATES

MOST_MS = 200.0
SETTLE_MS = 700
WATCH = (Path(__file__).parent / "clicks.js").read_text("utf-8")
ANSWER = "The keeper kept eleven geese [1]."
ENVIRONMENT = {"OPENBOOK_LM_RUNTIME": "scripted", "OPENBOOK_EXTRACT_THRESHOLD": "0.5"}
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
NAME = "harbour"
QUESTION = "How many geese did the keeper of log 7 keep?"


@dataclass(frozen=True, slots=True)
class World:
    """``chat``: a conversation with one answer; ``run``: that answer's."""

    url: str
    chat: str
    run: str
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """``before`` brings the page to where the control is; ``press`` gives it, and is clicked unless ``key`` is given.

    ``once``: after the first time it is no longer there.
    """

    page: str
    name: str
    path: str
    press: Callable[[Page], Locator]
    before: Callable[[Page], None] = lambda page: None
    key: str = ""
    once: bool = False


@dataclass(slots=True)
class Times:
    """Of one control, in ms; ``kinds``: what the first sign was."""

    sign: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="openbook bench clicks --", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--only", default="", help="controls whose page or name holds one of these, parted by commas")
    args = parser.parse_args(argv)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise OpenbookError("no Chromium on the path: install it, the page is measured in it")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-clicks-")))
        (folder / "script.json").write_text(json.dumps({"replies": [{"text": ANSWER, "times": 0}]}), "utf-8")
        port = _free_port()
        environment = ENVIRONMENT | {"OPENBOOK_LM_SCRIPT": str(folder / "script.json")}
        server = stack.enter_context(served(folder / "data", environment, page_port=port))
        with Client(server.url, token=server.token, timeout_s=300.0) as client:
            world = fill(client, f"http://127.0.0.1:{port}")
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_page(viewport={"width": args.width, "height": 900})
        page.set_default_timeout(30_000)
        parts = args.only.lower().split(",")
        wanted = [c for c in controls(world) if any(part in f"{c.page} {c.name}".lower() for part in parts)]
        print(f"{os.cpu_count()} processors, load before {os.getloadavg()[0]:.1f}; {args.rounds} presses each\n")
        print("| page | control | first sign, ms | most | what | drawn, ms |\n|---|---|---:|---:|---|---:|")
        slow = [control for control in wanted if not _row(page, world, control, args.rounds)]
        print(f"\n{len(wanted) - len(slow)} of {len(wanted)} controls show a sign within {MOST_MS:.0f} ms each time")
        browser.close()
    return 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _row(page: Page, world: World, control: Control, rounds: int) -> bool:
    """Prints the control's row; says whether it always showed a sign in time."""
    times = Times()
    try:
        for _ in range(1 if control.once else rounds):
            press_once(page, world, control, times)
    except TimeoutError as e:
        print(f"| {control.page} | {control.name} | not measured: {e.message.splitlines()[0]} | | | |")
        return False
    most = max(times.sign)
    shown = f"{statistics.median(times.sign):.0f} | {most:.0f} | {', '.join(sorted(times.kinds))}"
    print(f"| {control.page} | {control.name} | {shown} | {statistics.median(times.drawn):.0f} |")
    return most <= MOST_MS


def press_once(page: Page, world: World, control: Control, times: Times) -> None:
    """One press on a page loaded anew; its times are added to ``times``."""
    page.goto(world.url + control.path)
    _settle(page)
    control.before(page)
    _settle(page)
    target = control.press(page)
    target.scroll_into_view_if_needed()
    page.evaluate(WATCH)
    target.press(control.key) if control.key else target.click()
    page.wait_for_function("obClicks.sign !== null && obClicks.drawn !== null")
    _settle(page)
    # Where something goes on by itself, such as a second answer, the page is drawn again and again.
    said = page.evaluate(
        "({...Object.assign(obClicks, {over: true}), drawn: obClicks.drawn ?? performance.now() - obClicks.pressed})"
    )
    times.sign.append(said["sign"])
    times.drawn.append(max(said["drawn"], said["sign"]))
    times.kinds.add(said["kind"])


def _settle(page: Page) -> None:
    """Until the page is drawn, and stays so."""
    page.locator(".stApp[data-test-script-state=notRunning]").wait_for(state="attached")
    page.wait_for_timeout(SETTLE_MS)
    page.locator(".stApp[data-test-script-state=notRunning]").wait_for(state="attached")


def fill(client: Client, url: str) -> World:
    """Forty documents, thirty conversations of which one has an answer, and the page's first visit."""
    client.create_collection(NAME)
    texts = [
        f"# Log {n}\n\nThe keeper of log {n} kept {n + 4} geese. The lamp burned through night {n}.\n" * 3
        for n in range(40)
    ]
    client.upload(NAME, [(f"log{n}.md", io.BytesIO(text.encode())) for n, text in enumerate(texts)])
    while any(n for state, n in client.job_page(limit=1)["counts"].items() if state not in FINAL_STATES):
        time.sleep(0.5)
    for n in range(29):
        client.create_chat([NAME], title=f"What the log of night {n} says")
    chat = client.create_chat([NAME], strategy="extract")["chat_id"]
    with client.chat_stream(chat, QUESTION, strategy="extract") as said:
        run = list(said)[-1][1]["run_id"]
    doc = client.documents(NAME)["documents"][0]["doc_id"]
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url).raise_for_status()
            return World(url, chat, run, doc)
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def button(name: str, *, nth: int = 0) -> Callable[[Page], Locator]:
    return lambda page: page.get_by_role("button", name=re.compile(name)).nth(nth)


def at(selector: str) -> Callable[[Page], Locator]:
    return lambda page: page.locator(selector).first


def composed(page: Page) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(QUESTION)


def filled(label: str, text: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_label(label, exact=True).first.fill(text)


def clicked(press: Callable[[Page], Locator]) -> Callable[[Page], None]:
    return lambda page: press(page).click()


def link(title: str) -> Callable[[Page], Locator]:
    return lambda page: page.get_by_role("link", name=title)


def controls(world: World) -> list[Control]:
    chat, documents = f"/?chat={world.chat}", f"/collections?collection={NAME}"
    menu = at(f".st-key-document-{world.doc} button:visible")
    pages = ("Collections", "Search", "Check", "Evaluate", "Traces", "System")
    entry = at("[role=menuitem]:visible, [role=option]:visible")
    return [
        *(Control(page="all", name=f"to {title}", path=chat, press=link(title)) for title in pages),
        Control(page="all", name="to Chat", path="/system", press=link("Chat")),
        Control(page="all", name="Keyboard shortcuts", path=chat, press=button("Keyboard shortcuts")),
        Control(page="Chat", name="New conversation", path=chat, press=button("New conversation")),
        Control(page="Chat", name="another conversation", path=chat, press=at(".st-key-history .stButton button >> nth=3")),
        Control(page="Chat", name="find, Enter", path=chat, before=filled("Find a conversation", "night 7"),
                press=at(".st-key-find-chats input"), key="Enter"),
        Control(page="Chat", name="ask, Enter", path="/", before=composed, press=at("[data-testid=stChatInputTextArea]"), key="Enter"),
        Control(page="Chat", name="collections", path=chat, press=at("[data-testid=stBottomBlockContainer] [data-testid=stPopoverButton]")),
        Control(page="Chat", name="a source's chip", path=chat, press=at(".ob-chip")),
        Control(page="Chat", name="a source", path=chat, press=at("[class*=st-key-sources-] button")),
        Control(page="Chat", name="Edit", path=chat, press=button("Edit$")),
        Control(page="Chat", name="Again", path=chat, press=button("Again$")),
        Control(page="Chat", name="Again, as picked", path=chat, before=clicked(button("Again$")), press=entry),
        Control(page="Chat", name="thumbs up", path=chat, press=at("[data-testid=stFeedback] button, [aria-label='Thumbs up']")),
        Control(page="Chat", name="a conversation's menu", path=chat, press=at(".st-key-history [class*=st-key-menu-] button")),
        Control(page="Chat", name="Compare", path=chat, press=button("Compare$"), once=True),
        Control(page="Collections", name="a collection", path="/collections", press=button("Open$")),
        Control(page="Collections", name="All collections", path=documents, press=button("All collections")),
        Control(page="Collections", name="find a document, Enter", path=documents, before=filled("Find a document", "log 7"),
                press=lambda page: page.get_by_label("Find a document"), key="Enter"),
        Control(page="Collections", name="a document's menu", path=documents, press=menu),
        Control(page="Collections", name="Open", path=documents, before=clicked(menu), press=entry),
        Control(page="Collections", name="Passages", path=documents, before=clicked(menu),
                press=at("[role=menuitem]:visible:has-text('Passages'), [role=option]:visible:has-text('Passages')")),
        Control(page="Search", name="Search", path="/search", before=filled("Search for", QUESTION), press=button("Search$")),
        Control(page="Search", name="Narrow and spread", path="/search", press=at("summary")),
        Control(page="Search", name="By words", path="/search", press=lambda page: page.get_by_text("Words", exact=True)),
        Control(page="Check", name="Check", path="/check", before=filled("Claim", "The keeper of log 7 kept 11 geese."),
                press=button("Check$")),
        Control(page="Evaluate", name="Make questions", path="/evaluate", press=button("Make questions"), once=True),
        Control(page="Traces", name="a run", path="/traces", press=at(".st-key-runs button")),
        Control(page="Traces", name="words, Enter", path="/traces", before=filled("Words of the question", "geese"),
                press=lambda page: page.get_by_label("Words of the question"), key="Enter"),
        Control(page="Traces", name="Replay", path=f"/traces?run={world.run}", press=button("Replay")),
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
