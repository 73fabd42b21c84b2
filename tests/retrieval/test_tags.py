"""Tags that people give: found by, seen by whoever may read, kept when a document is replaced, gone when it is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import Forbidden, InvalidRequest, NotFound
from core.types import Principal
from retrieval.members import set_member
from retrieval.tables import document_tags
from retrieval.tags import MAX_TAGS, checked_tags, given_tags, set_tags
from tests.support.library import LOCAL, Library, document_id, library

READER, STRANGER = Principal(user_id="reader"), Principal(user_id="stranger")
KEPT = document_id("c", "kept.md")


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path) as made:
        made.create("c")
        made.put("c", "kept.md", "common words of the first", metadata={"keywords": "brought"})
        made.put("c", "other.md", "common words of the second")
        with made.database.write() as connection:
            set_member(connection, LOCAL, "c", "reader", "reader")
        yield made


def tag(lib: Library, *tags: str, doc_id: str = KEPT, who: Principal = LOCAL) -> list[str]:
    with lib.database.write() as connection:
        kept, change = set_tags(connection, who, doc_id, tags)
    lib.engine.publish(change)
    return kept


def listed(lib: Library, **how: object) -> list[str]:
    return [d.uri for d in lib.store.list_documents(LOCAL, "c", **how)[0]]  # type: ignore[arg-type]


def test_a_document_is_found_by_what_people_and_by_what_it_brought(lib: Library) -> None:
    assert tag(lib, " To  Do ", "2024", "to do") == ["2024", "to do"]
    assert listed(lib, tags=["TO DO"]) == listed(lib, tags=["brought"]) == ["kept.md"]
    assert listed(lib, tags=["2024", "nothing"]) == ["kept.md"]
    assert listed(lib, tags=["nothing"]) == []
    hits = lib.search("common words", filters={"tag": ("To Do",)})
    assert {h.chunk.doc_id for h in hits} == {KEPT}
    with lib.database.read() as connection:
        ids = lib.store.facets(LOCAL, ["c"])["tag"]
        assert given_tags(connection, [KEPT, document_id("c", "other.md")]) == {KEPT: ["2024", "to do"]}
    assert ids == {"2024": 1, "to do": 1, "brought": 1}
    assert tag(lib) == [] and listed(lib, tags=["to do"]) == []


def test_a_search_narrowed_by_a_tag_follows_at_once_when_documents_are_tagged_and_untagged(lib: Library) -> None:
    def found() -> set[str]:
        return {h.title for h in lib.search("common words", filters={"tag": ("draft",)})}

    other = document_id("c", "other.md")
    assert found() == set()
    tag(lib, "draft")
    assert found() == {"kept.md"}
    tag(lib, "draft", doc_id=other)
    assert found() == {"kept.md", "other.md"}
    tag(lib)
    assert found() == {"other.md"}
    tag(lib, "final", doc_id=other)
    assert found() == set()


def test_the_same_tags_again_are_no_change(lib: Library) -> None:
    tag(lib, "a", "b")
    before = lib.engine.status().change
    assert tag(lib, " B ", "a") == ["a", "b"]
    assert lib.engine.status().change == before


def test_they_stay_when_other_bytes_come_and_go_with_the_document(lib: Library) -> None:
    tag(lib, "stays")
    lib.put("c", "kept.md", "other bytes under the same name")
    assert listed(lib, tags=["stays"]) == ["kept.md"]
    lib.delete("c", "kept.md")
    lib.put("c", "kept.md", "somebody else's bytes")
    assert listed(lib, tags=["stays"]) == []
    tag(lib, "stays")
    lib.drop("c")
    with lib.database.read() as connection:
        assert connection.execute(select(document_tags)).all() == []


def test_who_may_only_read_changes_none_and_who_may_not_is_told_of_none(lib: Library) -> None:
    with pytest.raises(Forbidden):
        tag(lib, "x", who=READER)
    with pytest.raises(NotFound):
        tag(lib, "x", who=STRANGER)
    tag(lib, "canary")
    assert lib.store.facets(READER)["tag"].keys() == {"canary", "brought"}
    assert lib.store.facets(STRANGER)["tag"] == {}
    assert lib.search("common words", filters={"tag": ("canary",)}, principal=STRANGER) == []


@pytest.mark.parametrize("bad", ["", "  ", "a,b", "a;b", "x" * 61, "a\x00b", "\u202e"])
def test_what_is_no_tag_is_refused(bad: str) -> None:
    with pytest.raises(InvalidRequest, match="is no tag"):
        checked_tags(["fine", bad])


def test_there_may_be_only_so_many() -> None:
    assert len(checked_tags(map(str, range(MAX_TAGS)))) == MAX_TAGS
    with pytest.raises(InvalidRequest, match="too many"):
        checked_tags(map(str, range(MAX_TAGS + 1)))


def test_documents_are_listed_by_words_of_title_and_file_name_page_by_page(lib: Library) -> None:
    for n in range(5):
        lib.put("c", f"reports/{n}_a.md", f"text {n}", title=f"The 100% Report {n}")
    assert listed(lib, words="report 100% MD") == [f"reports/{n}_a.md" for n in (4, 3, 2, 1, 0)]
    assert listed(lib, words="report 3") == ["reports/3_a.md"]
    assert listed(lib, words="%") == listed(lib, words="100%"), "a sign of the database's own is a letter here"
    tag(lib, "odd", doc_id=document_id("c", "reports/1_a.md"))
    tag(lib, "odd", doc_id=document_id("c", "reports/3_a.md"))
    tag(lib, "odd")
    first, cursor = lib.store.list_documents(LOCAL, "c", 1, None, words="report", tags=["odd"])
    second, end = lib.store.list_documents(LOCAL, "c", 1, cursor, words="report", tags=["odd"])
    assert [d.uri for d in (*first, *second)] == ["reports/3_a.md", "reports/1_a.md"] and end is None
