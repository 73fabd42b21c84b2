"""The list of keys is one: what it says is in the guide and in the browser's part, and takes no key that writes."""

from __future__ import annotations

import re
from pathlib import Path

from app.ui.look import ASSETS
from app.ui.shortcuts import SHORTCUTS

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "chatting.md"


def test_the_guide_lists_them() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert [row for row in rows if row[0] != "keys"] == [(" ".join(s.keys), s.does) for s in SHORTCUTS]


def test_a_key_that_writes_is_taken_only_together_with_ctrl() -> None:
    for shortcut in SHORTCUTS:
        *held, key = shortcut.keys
        assert len(key) > 1 or "Ctrl" in held, shortcut
    assert len({s.keys for s in SHORTCUTS}) == len(SHORTCUTS)


def test_the_browser_knows_what_each_does_and_where_it_is() -> None:
    script = (ASSETS / "keys.js").read_text("utf-8")
    places, acts = (re.search(rf"const {name} = {{(.*?)\n *}};", script, re.DOTALL) for name in ("PLACES", "acts"))
    assert places is not None and acts is not None
    for found in (places, acts):
        assert {s.act for s in SHORTCUTS} == set(re.findall(r"^ +(\w+): ", found.group(1), re.MULTILINE))
