"""Analysers by language, and what settings say of term indexes."""

from __future__ import annotations

import numpy as np
import pytest
import snowballstemmer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text as sql

from core.errors import InvalidRequest
from core.settings import Settings
from ingest.language import LANGUAGES
from retrieval.sparse.analyse import MAX_TERM_CHARS, Analyser, identifiers_of, words_of
from retrieval.sparse.bm25_reference import Bm25Reference
from retrieval.sparse.languages import ENGLISH, KEYS, Analysers, language_key
from retrieval.sparse.passage import FieldBoosts, PassageReader
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.sparse_kinds import SparseOptions, new_sparse
from tests.contract.sparse_index_suite import OTHERS, everything, fill, passage, rows_of
from tests.support.library import LOCAL, library

ANALYSERS = Analysers()


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("de", "Entscheidungen", "Entscheidung"),
        ("es", "informaciones", "información"),
        ("fr", "nationales", "nationale"),
        ("it", "decisioni", "decisione"),
        ("pt", "informações", "informação"),
        ("nl", "besluiten", "besluit"),
        ("ru", "решениями", "решение"),
        ("ar", "المدرسة", "مدرسة"),
        ("tr", "kitaplar", "kitap"),
        ("el", "αποφάσεις", "ΑΠΟΦΑΣΕΙΣ"),
        ("hi", "समितियों", "समिति"),
        ("pl", "pracowników", "pracownik"),
    ],
)
def test_forms_of_a_word_are_one_term_in_its_language(language, one, other):
    analyser = ANALYSERS.of(language_key(language))
    assert analyser.terms(one) == analyser.terms(other) != []


@pytest.mark.parametrize(
    ("language", "text"), [("de", "die der und nicht"), ("es", "de la que"), ("fr", "le dans les"), ("ru", "и в не")]
)
def test_stop_words_are_those_of_the_language(language, text):
    assert ANALYSERS.of(language).terms(text) == []


@pytest.mark.parametrize(
    ("language", "key"),
    [
        (None, "en"),
        ("en", "en"),
        ("en-GB", "en"),
        ("zh", "en"),
        ("xx", "en"),
        ("", "en"),
        ("de-AT", "de"),
        ("no", "nb"),
    ],
)
def test_what_has_no_analyser_of_its_own_is_read_as_before(language, key):
    assert language_key(language) == key


def test_each_language_that_is_found_at_ingest_has_an_analyser_that_works():
    assert len(LANGUAGES.split()) == 37
    for key in KEYS:
        assert ANALYSERS.of(key).terms("Übergröße naïve العربية हिन्दी решение CVE-2026-1 東京")
    stemmer = snowballstemmer.stemmer("russian")
    words = ["решениями", "книгами", "большого", "бегает"]
    assert [ANALYSERS.of("ru").terms(w) for w in words] == [[stemmer.stemWord(w)] for w in words]


def test_a_query_over_english_alone_is_analysed_as_ever():
    text = "The committees' decisions on CVE-2026-1, die Entscheidungen"
    assert ANALYSERS.query_terms(text, {ENGLISH}) == ANALYSERS.query_terms(text, ()) == Analyser().terms(text)


def test_over_several_languages_each_term_counts_as_often_as_one_of_them_has_it():
    terms = ANALYSERS.query_terms("nations nations Entscheidungen", {"en", "de"})
    assert sorted(terms) == ["entscheid", "entscheidungen", "nation", "nation"]


@given(st.sampled_from(KEYS), st.text(max_size=200))
def test_any_text_in_any_language_gives_the_same_storable_terms_each_time(key, text):
    terms = ANALYSERS.of(key).terms(text)
    assert all(term and len(term) <= MAX_TERM_CHARS and not set(term) & set(" \t\n\x0b\x0c\r") for term in terms)
    assert ANALYSERS.of(key).terms(text) == terms
    assert all(word and len(word) <= MAX_TERM_CHARS and not set(word) & set(" \t\n\r¶") for word in words_of(text))
    assert words_of(text) == words_of(text)
    assert identifiers_of(text) == identifiers_of(text)


def test_tantivy_and_the_reference_agree_over_several_languages():
    texts = ["Die Entscheidungen der Ausschüsse", "the decisions of committees", "las decisiones del comité", "решения"]
    languages = ["de", "en", "es", "ru"]
    found = []
    for index in (TantivyIndex(None), Bm25Reference()):
        fill(index, OTHERS)
        index.add(range(4), [passage(t) for t in texts], [""] * 4, [1] * 4, languages)
        index.commit()
        found.append({q: index.search(q, 10, everything()) for q in (*texts, "decision committee Entscheidung")})
        index.close()
    for query, hits in found[0].items():
        assert rows_of(hits) == rows_of(found[1][query])
        np.testing.assert_allclose([s / 2.2 for _, s in hits], [s for _, s in found[1][query]], rtol=1e-3)


# ---------------------------------------------------------------- spelt plainly

SPELT = [
    ("fr", "le cœur et la sœur mangent un bœuf", ["coeur", "cœurs", "soeur", "boeuf", '"un boeuf"', '"LE CŒUR ET"']),
    ("da", "Søren spiste smørrebrød på Ærø", ["Soren", "smorrebrod", '"smorrebrod pa aero"', "Æro", "SMØRREBRØD"]),
    ("pl", "Łódź i Władysław, żółw i miłość", ["Lodz", "lodz", '"lodz i wladyslaw"', "zolw", '"ŻÓŁW I"', "milosc"]),
    ("hr", "đak i Đorđe", ["dak", "Dorde", '"dak i dorde"', "đorđe"]),
    ("tr", "Işık hızla yayılır, kırmızı İstanbul", ["isik", "ışık", '"isik hizla"', "kirmizi", "KIRMIZI", "istanbul"]),
    ("el", "Η Ελληνική Δημοκρατία και οι άνθρωποι", ["ελληνικη", '"ΕΛΛΗΝΙΚΗ ΔΗΜΟΚΡΑΤΙΑ"', '"οι ανθρωποι"']),
    ("el", "ο σκοπός της οδού", ['"Ο ΣΚΟΠΟΣ ΤΗΣ"', '"σκοπος της οδου"']),
    ("ru", "здесь стоит зелёная ёлка, счёт оплачен", ["елка", '"зеленая елка"', '"ЗЕЛЁНАЯ ЁЛКА"', '"счет оплачен"']),
    ("ar", "المَدْرَسَةُ الكبيرة في القاهـرة", ["المدرسة", '"المدرسة الكبيرة"', '"المَدرسة الكبيرةُ"', '"في القاهرة"']),
    (
        None,
        "cœur, Łódź and ёлка beside the Ελληνική and المَدْرَسَةُ",
        ["coeur", "lodz", "елка", "ελληνικη", "المدرسة", '"and елка"'],
    ),
]


@pytest.mark.parametrize(
    ("language", "text", "query"), [(language, text, query) for language, text, queries in SPELT for query in queries]
)
def test_accents_and_letters_that_keyboards_lack_may_be_left_out(language, text, query):
    for index in (TantivyIndex(None), Bm25Reference()):
        fill(index, OTHERS)
        index.add([1], [passage(text)], [""], [1], [language])
        index.commit()
        assert rows_of(index.search(query, 5, everything())) == [1]
        index.close()


@pytest.mark.parametrize(
    ("one", "other"), [("мой", "мои"), ("їжа", "іжа"), ("أمل", "امل"), ("ガ", "カ"), ("हिन्दी", "हनद")]
)
def test_what_is_another_letter_stays_one(one, other):
    assert words_of(one) != words_of(other)


# ---------------------------------------------------------------- boosts, k1 and b


@pytest.mark.parametrize(
    ("boosts", "first"),
    [(FieldBoosts(title=3), 3), (FieldBoosts(headings=4, title=0), 1), (FieldBoosts(title=0, headings=0), 2)],
)
def test_boosts_weigh_alike_in_every_engine(boosts, first):
    passages = [passage("plain words", ("copper",)), passage("copper words"), passage("more words")]
    titles = ["Iron", "Zinc", "Copper"]
    found = []
    for index in (TantivyIndex(None, PassageReader(boosts=boosts)), Bm25Reference(reader=PassageReader(boosts=boosts))):
        fill(index, OTHERS)
        index.add([1, 2, 3], passages, titles, [1] * 3)
        index.commit()
        found.append(index.search("copper", 5, everything()))
        index.close()
    assert rows_of(found[0]) == rows_of(found[1])
    np.testing.assert_allclose([s / 2.2 for _, s in found[0]], [s for _, s in found[1]], rtol=1e-3)
    assert rows_of(found[0])[0] == first
    assert (3 in rows_of(found[0])) == bool(boosts.title)


def test_a_title_that_counts_thrice_is_a_title_said_thrice():
    thrice, once = Bm25Reference(reader=PassageReader(boosts=FieldBoosts(title=3))), Bm25Reference()
    for index, titles in ((thrice, ["Copper"]), (once, ["Copper copper copper"])):
        fill(index, OTHERS)
        index.add([1], [passage("a metal")], titles, [1])
    assert thrice.search("copper metal", 5, everything()) == once.search("copper metal", 5, everything())


def test_boosts_out_of_range_are_refused():
    with pytest.raises(InvalidRequest, match="title_boost = 11: choose a whole number from 0 to 10"):
        FieldBoosts(title=11)


def test_other_boosts_are_another_index_that_is_built_anew_at_the_next_start(tmp_path):
    for boosts in ({}, {"title_boost": 3}, {}):
        with library(tmp_path, **boosts) as lib:
            if not lib.store.list_collections(LOCAL):
                lib.create("a")
                lib.put_many("a", {"iron": "copper", "copper": "iron and zinc"})
            best = lib.search("copper", 1, retriever="bm25")[0].title
            assert best == ("copper" if boosts else "iron")
            assert lib.engine.settle(30)
            assert len(list((tmp_path / "indexes").glob("sparse-*"))) == 1


def test_an_index_of_the_analysis_before_is_built_anew(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "Die Entscheidungen", metadata={"language": "de"})
        with lib.database.write() as connection:
            connection.execute(sql("UPDATE index_manifests SET revision = 'tantivy-terms-1' WHERE kind = 'sparse'"))
    with library(tmp_path) as lib:
        assert [h.title for h in lib.search("Entscheidung", 1, retriever="bm25")] == ["x"]
        assert lib.engine.status().problems == ()


def test_other_k1_and_b_need_an_engine_that_takes_them():
    with pytest.raises(InvalidRequest, match="Set sparse to 'reference' or 'rank-bm25'"):
        new_sparse("tantivy", SparseOptions(k1=0.9))
    with pytest.raises(InvalidRequest, match=r"bm25_b = 0\.4"):
        new_sparse("tantivy", SparseOptions(b=0.4))
    new_sparse("tantivy", SparseOptions(k1=1.2, b=0.75)).commit()


@pytest.mark.parametrize("kind", ["reference", "rank-bm25"])
def test_k1_and_b_of_the_settings_reach_the_score(kind):
    def score(**chosen: float) -> float:
        index = new_sparse(kind, SparseOptions.of(Settings(**chosen)))
        fill(index, {1: "copper copper and more", 2: "iron"} | OTHERS)
        return index.search("copper", 1, everything())[0][1]

    assert len({score(), score(bm25_k1=0.4), score(bm25_b=0.1), score(bm25_k1=0.4, bm25_b=0.1)}) == 4
    own = {"reference": (1.2, 0.75), "rank-bm25": (1.5, 0.75)}[kind]
    assert score() == score(bm25_k1=own[0], bm25_b=own[1])


def test_the_engine_of_the_settings_takes_them_or_says_what_would(tmp_path):
    with library(tmp_path, sparse="reference", bm25_k1=0.9, bm25_b=0.4) as lib:
        lib.create("a")
        lib.put("a", "x", "copper")
        assert lib.search("copper", 1, retriever="bm25")[0].title == "x"
        with pytest.raises(InvalidRequest, match="built in"):
            lib.search("copper", 1, retriever="bm25", sparse="tantivy")
    with pytest.raises(InvalidRequest, match="built in"), library(tmp_path / "b", bm25_k1=0.9):
        pass


def test_documents_are_read_in_the_language_that_was_found_at_ingest(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "de", "Die Entscheidungen der Ausschüsse", metadata={"language": "de"})
        lib.put("a", "none", "Entscheidungen ohne Angabe")
        found = lib.search("Entscheidung", 5, retriever="bm25")
        assert [h.title for h in found] == ["de"]
        assert {h.title for h in lib.search("Entscheidungen", 5, retriever="bm25")} == {"de", "none"}


def test_who_leaves_accents_out_finds_the_words_that_have_them():
    for index in (TantivyIndex(None), Bm25Reference()):
        fill(index, OTHERS)
        texts = ["más información sobre el tema", "la décision du comité", "informações úteis", "größere Häuser"]
        index.add(range(4), [passage(t) for t in texts], [""] * 4, [1] * 4, ["es", "fr", "pt", "de"])
        index.commit()
        for query, row in (("informacion", 0), ("decision", 1), ("informacoes", 2), ("hauser", 3), ("Haus", 3)):
            assert row in rows_of(index.search(query, 5, everything())), query
        index.close()
