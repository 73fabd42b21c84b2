from __future__ import annotations

from core.wording import not_read, plural, tell_apart


def test_one_is_singular_and_all_else_plural() -> None:
    assert [plural(n, "page") for n in (0, 1, 2, 1200)] == ["0 pages", "1 page", "2 pages", "1,200 pages"]


def test_a_plural_can_be_given() -> None:
    assert plural(1, "index", "indexes") == "1 index"
    assert plural(2, "index", "indexes") == "2 indexes"


def test_what_was_not_read_agrees_with_its_number() -> None:
    assert not_read(1, "picture") == "1 picture was not read"
    assert not_read(3, "picture") == "3 pictures were not read"


def test_sources_of_one_title_are_told_apart_by_the_least_that_does() -> None:
    own, copy = ("The keeper", "logs/keeper.md", "team"), ("The  Keeper", "logs/keeper copy.md", "team")
    assert tell_apart([own, ("Tides", "tides.md", "team"), own]) == ["", "", ""], "each title is one source"
    assert tell_apart([own, copy, own]) == ["keeper.md", "keeper copy.md", "keeper.md"]
    assert tell_apart([own, ("The keeper", "old/keeper.md", "team")]) == ["logs/keeper.md", "old/keeper.md"]
    there = ("The keeper", "logs/keeper.md", "archive")
    assert tell_apart([own, there]) == ["logs/keeper.md, team", "logs/keeper.md, archive"]
    assert tell_apart([("The keeper", "", ""), ("The keeper", "", "")]) == ["", ""], "nothing more is known"
