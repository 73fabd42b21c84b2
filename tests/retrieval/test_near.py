"""Near-duplicates: what the signatures estimate, who sees them, and what a search leaves out for them."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.errors import NotFound
from core.ids import document_id
from core.types import Principal
from retrieval.near import count_near, near_duplicates
from retrieval.signature import BANDS, NEAR, band_keys, from_bytes, signature_of, similarity, to_bytes
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, Library, library, open_library

OTHER = Principal(user_id="other")


def prose(seed: int, words: int = 160) -> list[str]:
    chosen = random.Random(seed)
    return [f"{chosen.choice('bdfgklmnprst')}{chosen.choice('aeiou')}{chosen.randrange(90)}" for _ in range(words)]


def variant(seed: int, version: int, words: int = 160) -> str:
    """Version 0 is the text; each other one has one word changed: Jaccard (156 − 5) / (156 + 5) = 0.94 or more."""
    found = prose(seed, words)
    if version:
        found[version * 7 % words] = f"changed{version}"
    return " ".join(found)


def jaccard(a: str, b: str) -> float:
    def shingles(text: str) -> set[tuple[str, ...]]:
        w = text.casefold().split()
        return {tuple(w[i : i + 5]) for i in range(max(1, len(w) - 4))}

    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def near(lib: Library, collection: str, uri: str, principal: Principal = LOCAL) -> list[tuple[str, str]]:
    with lib.database.read() as connection:
        found = near_duplicates(connection, principal, document_id(collection, uri))
    assert all(NEAR <= n.similarity <= 1 for n in found)
    return sorted((n.document.collection, n.document.uri) for n in found)


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path) as opened:
        opened.create("a")
        opened.create("b")
        opened.create("theirs", "other")
        yield opened


# ---------------------------------------------------------------- signatures


@pytest.mark.parametrize("changed", [0, 1, 4, 16, 40])
def test_the_estimate_is_within_three_standard_errors_of_the_similarity(changed: int) -> None:
    errors = []
    for seed in range(20):
        words = prose(seed, 400)
        other = list(words)
        for at in random.Random(seed + 100).sample(range(400), changed):
            other[at] = "other"
        a, b = " ".join(words), " ".join(other)
        first, second = signature_of(a), signature_of(b)
        assert first is not None and second is not None
        true = jaccard(a, b)
        errors.append((similarity(first, second) - true) / (np.sqrt(true * (1 - true) / 128) or 1))
    assert abs(float(np.mean(errors))) < 3 / np.sqrt(20), errors
    assert max(map(abs, errors)) < 4


def test_case_and_signs_do_not_matter_and_order_does() -> None:
    one, two, three = (signature_of(t) for t in ("One, two; THREE four five six.", "one two three four five six", "six five four three two one"))  # fmt: skip
    assert one is not None and two is not None and three is not None
    assert similarity(one, two) == 1
    assert similarity(one, three) < 0.1


def test_a_long_text_has_the_signature_of_its_shingles_however_it_is_read() -> None:
    words = prose(1, 20_000)
    whole = signature_of(" ".join(words))
    again = signature_of(" ".join(words + words[:4]))  # all its shingles, and four that bridge the ends
    assert whole is not None and again is not None and similarity(whole, again) > 0.95


def test_a_text_without_words_has_none_and_a_short_one_has_one() -> None:
    assert signature_of(" … 。!") is None
    assert signature_of("two words") is not None
    assert signature_of("") is None


def test_a_script_without_spaces_is_compared_by_its_characters() -> None:
    text = "灯台守はその日に見たことを本に書いた。" * 3 + "そして夜になると灯をともした。"
    one, two = signature_of(text), signature_of(text.replace("夜", "朝"))
    assert one is not None and two is not None and 0.5 < similarity(one, two) < 1


def test_a_signature_survives_its_bytes_and_gives_its_bands() -> None:
    signature = signature_of(variant(1, 0))
    assert signature is not None
    assert np.array_equal(from_bytes(to_bytes(signature)), signature)
    assert len(set(band_keys(signature))) == BANDS


# ---------------------------------------------------------------- who is near whom


def test_near_duplicates_are_found_across_the_collections_that_one_may_read_and_no_others(lib: Library) -> None:
    lib.put("a", "x", variant(1, 0))
    lib.put("a", "y", variant(1, 1))
    lib.put("b", "z", variant(1, 2))
    lib.put("a", "other", variant(2, 0))
    lib.put("theirs", "secret", variant(1, 3))
    assert near(lib, "a", "x") == [("a", "y"), ("b", "z")]
    assert near(lib, "a", "other") == []
    assert near(lib, "theirs", "secret", OTHER) == []
    with pytest.raises(NotFound):
        near(lib, "theirs", "secret")
    with lib.database.read() as connection:
        counted = count_near(connection, LOCAL, [document_id("a", uri) for uri in ("x", "y", "other")])
    assert sorted(counted.values()) == [0, 2, 2]


def test_a_document_that_is_deleted_or_replaced_is_near_nobody_any_more(lib: Library) -> None:
    for uri, version in (("x", 0), ("y", 1), ("z", 2)):
        lib.put("a", uri, variant(1, version))
    lib.delete("a", "y")
    assert near(lib, "a", "x") == [("a", "z")]
    lib.put("a", "z", variant(2, 0))
    assert near(lib, "a", "x") == []


# ---------------------------------------------------------------- what a search leaves out


def shown(lib: Library, query: str, **choices: object) -> list[tuple[str, frozenset[str]]]:
    names = {document_id(c, u): u for c in "ab" for u in ("x", "y", "z", "w")}
    hits = lib.search(query, collections=("a", "b"), collapse=True, **choices)
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    return [(names[h.chunk.doc_id], frozenset(names[d] for d in h.duplicates)) for h in hits]


def test_what_a_near_duplicate_says_again_is_left_out_and_counted_until_the_other_is_deleted(lib: Library) -> None:
    for uri, version in (("x", 0), ("y", 1), ("z", 2)):
        lib.put("a", uri, variant(1, version), words_per_chunk=40)
    query = " ".join(prose(1)[120:140])  # where no version differs
    plain = lib.search(query, k=3, retriever="bm25", collapse=False)
    assert {h.chunk.text for h in plain[:3]} == {" ".join(prose(1)[120:160])} and not plain[0].duplicates
    (kept, others), *_ = shown(lib, query, retriever="bm25")
    assert {kept} | others == {"x", "y", "z"}
    lib.delete("a", kept)
    (now, rest), *_ = shown(lib, query, retriever="bm25")
    assert {now} | rest == others
    lib.delete("a", now)
    assert shown(lib, query, retriever="bm25")[0] == (next(iter(rest)), frozenset())


def test_a_passage_that_only_one_version_has_is_never_left_out(lib: Library) -> None:
    base = prose(1, 400)
    news = [f"news{i}" for i in range(20)]
    lib.put("a", "x", " ".join(base), words_per_chunk=20)
    lib.put("a", "y", " ".join(base[:200] + news + base[200:]), words_per_chunk=20)
    assert near(lib, "a", "x") == [("a", "y")]
    found = lib.search(" ".join(base[180:200] + news), k=5, retriever="bm25", collapse=True)
    assert [h.chunk.text for h in found].count(" ".join(base[180:200])) == 1
    assert " ".join(news) in [h.chunk.text for h in found]


def test_texts_that_share_a_passage_and_are_not_near_stay_two_hits(lib: Library) -> None:
    shared = prose(9, 20)
    lib.put("a", "x", " ".join(shared + prose(1)), words_per_chunk=20)
    lib.put("a", "y", " ".join(shared + prose(2)), words_per_chunk=20)
    assert [others for _, others in shown(lib, " ".join(shared), retriever="bm25", k=2)] == [frozenset()] * 2


def test_a_collapsed_search_still_gives_k_hits_where_there_are_so_many(lib: Library) -> None:
    for i in range(60):
        lib.put("a", f"copy{i}", variant(1, i % 20), words_per_chunk=160)
    for i in range(4):
        lib.put("a", f"own{i}", " ".join([*prose(1)[:3], *prose(50 + i)]), words_per_chunk=170)
    hits = lib.search(" ".join(prose(1)[:3]), k=5, collapse=True)
    assert len(hits) == 5
    assert sorted(1 + len(h.duplicates) for h in hits) == [1, 1, 1, 1, 60]


def test_filters_and_collections_bound_what_a_hit_stands_for(lib: Library) -> None:
    lib.put("a", "x", variant(1, 0), words_per_chunk=40)
    lib.put("b", "y", variant(1, 1), words_per_chunk=40)
    lib.put("theirs", "z", variant(1, 2), words_per_chunk=40)
    query = " ".join(prose(1)[120:140])
    ids = {uri: document_id(c, uri) for c, uri in (("a", "x"), ("b", "y"), ("theirs", "z"))}

    def stands_for(**where: object) -> set[str]:
        first = lib.search(query, collapse=True, **where)[0]
        return {first.chunk.doc_id, *first.duplicates}

    assert stands_for() == {ids["x"], ids["y"]}
    assert stands_for(collections=("b",)) == {ids["y"]}
    assert stands_for(filters={"uri": ("x",)}) == {ids["x"]}
    assert stands_for(principal=OTHER) == {ids["z"]}


# ---------------------------------------------------------------- any sequence of operations

ENCODER = HashEncoder(8)
where = st.tuples(st.sampled_from(["a", "theirs"]), st.sampled_from(["x", "y", "z"]))


class Nearness(RuleBasedStateMachine):
    """The model: {(collection, uri): (seed, version)}; documents of one seed are near-duplicates."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="openbook-near-"))
        self.lib = open_library(self.folder, ENCODER)
        self.lib.create("a")
        self.lib.create("theirs", "other")
        self.model: dict[tuple[str, str], tuple[int, int]] = {}

    def teardown(self) -> None:
        self.lib.close()
        shutil.rmtree(self.folder)

    @rule(place=where, seed=st.integers(1, 2), version=st.integers(0, 3))
    def put(self, place: tuple[str, str], seed: int, version: int) -> None:
        self.lib.put(*place, variant(seed, version), words_per_chunk=40)
        self.model[place] = (seed, version)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.model)))
        self.lib.delete(*place, LOCAL if place[0] == "a" else OTHER)
        del self.model[place]

    @rule()
    def restart(self) -> None:
        self.lib.close()
        self.lib = open_library(self.folder, ENCODER)

    @invariant()
    def everybody_sees_the_near_duplicates_of_their_own(self) -> None:
        for place, (seed, _) in self.model.items():
            principal = LOCAL if place[0] == "a" else OTHER
            alike = sorted(p for p, (s, _) in self.model.items() if s == seed and p != place and p[0] == place[0])
            assert near(self.lib, *place, principal) == alike

    @invariant()
    def a_collapsed_search_accounts_for_every_document(self) -> None:
        for seed in (1, 2):
            mine = {document_id(*p) for p, (s, _) in self.model.items() if s == seed and p[0] == "a"}
            hits = self.lib.search(" ".join(prose(seed)[120:140]), k=12, retriever="bm25", collapse=True)
            first = [h for h in hits if h.chunk.text == " ".join(prose(seed)[120:160])]
            assert len(first) == bool(mine)
            if first:
                assert {first[0].chunk.doc_id, *first[0].duplicates} == mine


TestNearness = pytest.mark.slow(Nearness.TestCase)
TestNearness.settings = settings(
    max_examples=15, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
