"""What a page proposes to ask next."""

from __future__ import annotations

from app.ui.follow_ups import follow_ups


def hit(heading: str, start: int, title: str = "Skerryvore") -> dict:
    return {"doc_id": "d", "title": title, "start": start, "end": start + 100, "heading_path": ["Top", heading]}


def answer(*hits: dict, cited: tuple[int, ...] = ()) -> dict:
    return {"hits": list(hits), "citations": [{"doc_id": "d", "start": start} for start in cited]}


def test_headings_that_were_found_and_not_quoted_are_asked_about_best_first() -> None:
    found = answer(
        hit("Geese", 0), hit("Lamp", 100), hit("Tower", 200), hit("Boats", 300), hit("Sea", 400), cited=(10,)
    )
    assert follow_ups(found, asked=()) == [
        f"What does Skerryvore say about {heading}?" for heading in ("Lamp", "Tower", "Boats")
    ]


def test_nothing_is_proposed_twice_nor_what_was_asked_nor_what_names_nothing() -> None:
    found = answer(
        hit("Lamp", 0), hit("Lamp", 100), hit("Tower", 200), hit("", 300), hit("x" * 81, 400), hit("Skerryvore", 500)
    )
    assert follow_ups(found, asked={"What does Skerryvore say about Tower?"}) == [
        "What does Skerryvore say about Lamp?"
    ]


def test_a_heading_of_which_another_passage_was_quoted_is_not_asked_about() -> None:
    assert follow_ups(answer(hit("Lamp", 0), hit("Lamp", 100), cited=(150,)), asked=()) == []
