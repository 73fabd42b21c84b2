"""Narrowing a search to what documents are: each field, each error, and nothing lost against looking at everything."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.types import Principal
from retrieval.filters import bound, check_filters, date_of, tags_of
from tests.support.library import CHUNKER, LOCAL, library, make_document

N = 400
KINDS = [("pdf", "application/pdf"), ("md", "text/markdown"), ("txt", "text/plain")]


def put(lib, connection, collection, uri, text, **extra):
    """As ``Library.put``, without a signature: making hundreds of them takes seconds."""
    document, chunks = make_document(collection, uri, text, **extra)
    vectors = lib.encoder.encode_documents([c.text for c in chunks])
    return lib.store.put_document(connection, document, chunks, vectors, lib.encoder.revision, CHUNKER)


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("filters")) as lib:
        lib.create("c")
        lib.create("theirs", "somebody")
        with lib.database.write() as connection:
            for i in range(N):
                ending, mime = KINDS[i % 3]
                metadata = {
                    "language": "de" if i % 10 == 0 else "en",
                    "created": f"{2020 + i % 5}-{1 + i % 12:02d}-15T10:00:00+02:00",
                    "keywords": f"tag{i % 100}, Common; x",
                    "front_matter": {"tags": f"[f{i % 7}, 'g h']"},
                }
                if i == 7:
                    metadata = {"date": "some day"}
                change = put(
                    lib,
                    connection, "c", f"part{i % 4}/file{i}.{ending}", f"common words of document number{i} word{i % 37}",
                    mime_type=mime, metadata=metadata,
                )  # fmt: skip
        lib.engine.publish(change)
        lib.put("theirs", "x.pdf", "common words of others", mime_type="application/pdf", metadata={"language": "fr"})
        yield lib


def found(lib, **filters):
    hits = lib.search("common words", 1000, filters={k.replace("__", "."): v for k, v in filters.items()})
    return {int(h.title.rpartition("file")[2].rpartition(".")[0]) for h in hits}


@pytest.mark.parametrize("value", ["pdf", ".PDF", "application/pdf"])
def test_by_type(lib, value):
    assert found(lib, type=(value,)) == set(range(0, N, 3))


def test_by_language_tag_and_path(lib):
    assert found(lib, language=("de",)) == set(range(0, N, 10))
    assert found(lib, language=("DE",)) == set(range(0, N, 10)), "as of the others, case is no part of it"
    assert found(lib, language=("De", "EN")) == set(range(N)) - {7}
    assert found(lib, language=()) == set()
    assert found(lib, tag=("TAG5",)) == set(range(5, N, 100))
    assert found(lib, tag=("f3",)) == set(range(3, N, 7)), "front matter has tags, too"
    assert found(lib, path=("part2/",)) == set(range(2, N, 4))
    assert found(lib, path=("part1/file5", "part3/file7.")) == {i for i in range(1, N, 4) if str(i).startswith("5")} | {
        7
    }
    assert found(lib, path=("PART2/", "%", "_")) == set()


def test_by_date(lib):
    year = {i for i in range(N) if i % 5 == 2} - {7}
    assert found(lib, date__from=("2022",), date__to=("2022",)) == year
    assert found(lib, date__from=("2022-03",), date__to=("2022-03-15",)) == {i for i in year if i % 12 == 2}
    assert found(lib, created__to=("2020-01-15T08:00:00Z",)) == set(range(0, N, 60))
    assert found(lib, created__to=("2020-01-15T07:59:59Z",)) == set(), "time zones count"
    assert found(lib, added__from=("2000",)) == set(range(N))
    assert found(lib, modified__from=("2000",)) == set(), "what has no such date does not pass"


def test_all_fields_must_hold_and_any_value_of_each(lib):
    expected = {i for i in range(0, N, 10) if i % 3 in (0, 1)}
    assert found(lib, language=("de",), type=("pdf", "md")) == expected


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid"])
@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"language": ("de",)}, lambda i: i % 10 == 0),  # 10 %
        ({"tag": ("tag5",)}, lambda i: i % 100 == 5),  # 1 %
        ({"tag": ("tag5",), "path": ("part1/file105",)}, lambda i: i == 105),  # 0.25 %
        ({}, lambda i: True),
    ],
)
def test_nothing_is_lost_against_looking_at_everything(lib, retriever, filters, passes):
    query = "common number105 word31"
    everything = lib.search(query, 1000, retriever=retriever)
    expected = [h.chunk.chunk_id for h in everything if passes(int(h.title.rpartition("file")[2].rpartition(".")[0]))]
    hits = lib.search(query, 1000, retriever=retriever, filters=filters)
    if retriever == "hybrid":  # scores are scaled by what the lists hold, so the order may differ, but not the set
        assert {h.chunk.chunk_id for h in hits} == set(expected)
    else:
        assert [h.chunk.chunk_id for h in hits] == expected
    nearest = lib.search(query, 10, retriever="dense", filters=filters)
    vectors = lib.encoder.encode_documents([h.chunk.text for h in everything])
    cosines = dict(
        zip([h.chunk.chunk_id for h in everything], vectors @ lib.encoder.encode_queries([query])[0], strict=True)
    )
    if retriever == "dense":
        best = sorted((cosines[c] for c in expected), reverse=True)[:10]
        assert [h.score for h in nearest] == pytest.approx(best, abs=1e-5), "recall 1 against brute force"


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"colour": ("red",)}, "cannot filter by 'colour': filter by doc_id, uri"),
        ({"metadata.": ("x",)}, "metadata.<key>"),
        ({"date": ("2024",)}, "date.from, date.to"),
        ({"date.from": ("soon",)}, "'soon' is no date: write 2024"),
        ({"date.to": ("2024-13",)}, "is no date"),
        ({"date.to": ("2024", "2025")}, "takes one date, not 2"),
        ({"date.from": ("2025",), "date.to": ("2024",)}, "date.from 2025 is after date.to 2024"),
    ],
)
def test_a_filter_that_cannot_be_is_answered_with_what_can(lib, filters, says):
    with pytest.raises(InvalidRequest, match=says) as error:
        check_filters(filters)
    assert error.value.code == "bad-filter"
    with pytest.raises(InvalidRequest):
        lib.search("common", filters=filters)


def test_bounds_are_the_ends_of_what_they_name():
    assert bound("2024", "from").isoformat() == "2024-01-01T00:00:00+00:00"
    assert bound("2024-02", "to").isoformat() == "2024-02-29T23:59:59.999999+00:00"
    for day in ("2024-06-30", "20240630", "2024-W26-7", "2024W267", " 20240630 "):
        assert bound(day, "from").isoformat() == "2024-06-30T00:00:00+00:00"
        assert bound(day, "to").isoformat() == "2024-06-30T23:59:59.999999+00:00", day
    for week in ("2024-W26", "2024W26"):  # Monday to Sunday
        assert (bound(week, "from").day, bound(week, "to").isoformat()) == (24, "2024-06-30T23:59:59.999999+00:00")
    assert bound("20240630T120000", "to").isoformat() == "2024-06-30T12:00:00+00:00"
    assert bound("2024-06-30T12:00:00+02:00", "to").isoformat() == "2024-06-30T10:00:00+00:00"


def test_what_documents_say_of_themselves_is_read_as_far_as_it_can_be():
    assert tags_of({"keywords": "A, b;c", "tags": ["D", 5]}) == {"a", "b", "c", "d", "5"}
    assert tags_of({"front_matter": "none"}) == set()
    assert date_of({"created": "rubbish", "date": "2021"}, "date", "").year == 2021
    assert date_of({"created": 7}, "date", "") is None


def test_a_tag_is_found_by_the_facet_that_counts_it_however_it_is_spaced(tmp_path):
    with library(tmp_path) as lib:
        lib.create("c")
        lib.put("c", "m.md", "spaced tag", metadata={"keywords": "Machine  learning,\tdeep \n nets"})
        tags = lib.store.facets(LOCAL)["tag"]
        assert tags == {"machine learning": 1, "deep": 1, "nets": 1}
        for tag in (*tags, "machine   LEARNING"):
            assert len(lib.search("spaced tag", filters={"tag": (tag,)})) == 1


@pytest.mark.parametrize("field", ["type", "path", "tag", "language", "doc_id", "uri", "metadata.keywords"])
def test_any_of_no_values_lets_nothing_through(lib, field):
    assert lib.search("common words", filters={field: ()}) == []
    with pytest.raises(InvalidRequest, match="takes one date, not 0"):
        lib.search("common words", filters={"date.from": ()})


def test_facets_count_what_may_be_read_only(lib):
    facets = lib.store.facets(LOCAL)
    assert facets["language"] == {"en": N - 41, "de": 40}
    assert facets["type"] == {"pdf": 134, "md": 133, "txt": 133}
    assert facets["tag"]["common"] == N - 1
    assert sorted(facets["date"]) == ["2020-01-15", "2024-12-15"]
    assert lib.store.facets(Principal(user_id="nobody"))["type"] == {}


def test_rows_of_a_filter_are_the_same_at_every_share(lib):
    counts = [len(found(lib, tag=(f"tag{i}",))) for i in range(3)]
    assert np.sum(counts) == 12
