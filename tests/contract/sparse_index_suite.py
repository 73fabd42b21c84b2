"""What every SparseIndex must do. A subclass gives ``index`` (empty) as a fixture."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.types import Allowed, Chunk, Having

WORDS = [f"{a}{b}{c}" for a in ("ka", "lo", "mi", "nu") for b in ("ra", "se", "ti") for c in ("pon", "gur", "vex")]

# In passages enough that a word of the test is in less than half of them: some variants of BM25 turn negative there.
OTHERS = {1000 + i: f"filler{i} padding{i} ballast{i}" for i in range(10)}


class CommittingIndex(Protocol):
    """A SparseIndex whose changes are visible after ``commit``, at the latest."""

    def __len__(self) -> int: ...
    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None: ...
    def remove(self, rows: Sequence[int]) -> None: ...
    def commit(self) -> None: ...
    def close(self) -> None: ...
    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]: ...
    def narrowed(self, query: str, allowed: Allowed) -> Allowed: ...
    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having: ...


def passage(text: str, headings: tuple[str, ...] = ()) -> Chunk:
    return Chunk(
        chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=len(text.split()), heading_path=headings
    )


def fill(index: CommittingIndex, texts: dict[int, str], collection_of: dict[int, int] | None = None) -> None:
    """Adds one passage per row, without a title, and commits."""
    index.add(
        list(texts),
        [passage(text) for text in texts.values()],
        [""] * len(texts),
        [(collection_of or {}).get(row, 1) for row in texts],
    )
    index.commit()


def allow(rows: Iterable[int], size: int = 100_000, collections: tuple[int, ...] = (1,)) -> Allowed:
    bits = np.zeros(size, dtype=np.bool_)
    bits[list(rows)] = True
    return Allowed(rows=bits, count=int(bits.sum()), collection_ids=collections)


def everything(size: int = 100_000, collections: tuple[int, ...] = (1, 2, 3, 4)) -> Allowed:
    return allow(range(size), size, collections)


def rows_of(hits: Sequence[tuple[int, float]]) -> list[int]:
    return [row for row, _ in hits]


def invented(n: int, seed: int = 0) -> dict[int, str]:
    """Rows 1 … n with texts of 5 to 60 words, of which a few are common and most are rare."""
    generator = random.Random(seed)
    weights = [1 / (i + 1) for i in range(len(WORDS))]
    return {
        row: " ".join(generator.choices(WORDS, weights=weights, k=generator.randint(5, 60))) for row in range(1, n + 1)
    }


class SparseIndexSuite:
    # -- finding

    def test_an_empty_index_finds_nothing(self, index: CommittingIndex) -> None:
        assert index.search("anything", 10, everything()) == []
        index.commit()
        assert index.search("anything", 10, everything()) == []

    def test_the_passage_that_says_it_more_often_comes_first(self, index: CommittingIndex) -> None:
        fill(index, {1: "copper iron iron", 2: "copper copper iron"} | OTHERS)
        assert rows_of(index.search("copper", 10, everything())) == [2, 1]

    def test_of_two_words_the_rarer_weighs_more(self, index: CommittingIndex) -> None:
        fill(index, {1: "common rare", 2: "common other", 3: "common thing", 4: "common matter", 5: "rare matter"})
        assert rows_of(index.search("rare common", 2, everything()))[0] == 1
        assert set(rows_of(index.search("rare common", 2, everything()))) == {1, 5}

    def test_passages_that_share_no_word_are_left_out(self, index: CommittingIndex) -> None:
        fill(index, {1: "alpha beta", 2: "gamma delta"})
        assert rows_of(index.search("alpha", 10, everything())) == [1]

    def test_scores_fall_and_ties_go_to_the_smaller_row(self, index: CommittingIndex) -> None:
        fill(index, {9: "same words here", 4: "same words here", 7: "same words here", 2: "other words here"} | OTHERS)
        hits = index.search("same words", 10, everything())
        assert rows_of(hits) == [4, 7, 9, 2]
        scores = [score for _, score in hits]
        assert scores == sorted(scores, reverse=True)

    def test_ties_at_the_last_place_go_to_the_smaller_row(self, index: CommittingIndex) -> None:
        rows = random.Random(3).sample(range(1, 400), 300)
        for start in range(0, 300, 60):
            fill(index, dict.fromkeys(rows[start : start + 60], "one text in all"))
        assert rows_of(index.search("text", 5, everything())) == sorted(rows)[:5]

    def test_k_larger_than_the_index_gives_all_that_match(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple", 2: "apple pie", 3: "pear"})
        assert sorted(rows_of(index.search("apple", 1000, everything()))) == [1, 2]

    def test_k_of_nothing_is_refused(self, index: CommittingIndex) -> None:
        with pytest.raises(InvalidRequest):
            index.search("apple", 0, everything())

    def test_title_and_headings_are_found_with_the_text(self, index: CommittingIndex) -> None:
        index.add(
            [1, 2], [passage("body", ("Chapter one", "Errata")), passage("body")], ["Almanac", "Bulletin"], [1, 1]
        )
        index.commit()
        assert rows_of(index.search("almanac", 5, everything())) == [1]
        assert rows_of(index.search("errata", 5, everything())) == [1]
        assert sorted(rows_of(index.search("body", 5, everything()))) == [1, 2]

    # -- words

    def test_inflections_are_one_word(self, index: CommittingIndex) -> None:
        fill(index, {1: "The regulator approved several mergers.", 2: "Nothing of the kind."})
        assert rows_of(index.search("approving merger", 5, everything())) == [1]

    @pytest.mark.parametrize("query", ["", "   ", "the of and", "!?", '"()"', "\x00"])
    def test_a_query_without_a_word_finds_nothing(self, index: CommittingIndex, query: str) -> None:
        fill(index, {1: "the cat and the hat", 2: "of mice"})
        assert index.search(query, 5, everything()) == []

    def test_unknown_words_find_nothing_and_do_no_harm(self, index: CommittingIndex) -> None:
        fill(index, {1: "known words"})
        assert index.search("xyzzy", 5, everything()) == []
        assert rows_of(index.search("xyzzy known", 5, everything())) == [1]

    @pytest.mark.parametrize(
        "query",
        [
            'risk AND (profit OR "loss',
            "risk: profit^2 -loss",
            "NOT risk~ profit*",
            "[risk TO profit}",
            "risk\\ /profit/",
        ],
    )
    def test_signs_of_query_languages_are_just_text(self, index: CommittingIndex, query: str) -> None:
        fill(index, {1: "risk and profit and loss", 2: "weather"})
        assert rows_of(index.search(query, 5, everything())) == [1]

    @pytest.mark.parametrize(
        ("identifier", "text"),
        [
            ("c3535", "warning C3535: cannot deduce type"),
            ("CVE-2026-27628", "fixed in CVE-2026-27628 and others"),
            ("§ 4.2", "as § 4.2 says"),
            ("std::vector", "a std::vector of things"),
            ("max_upload_bytes", "set max_upload_bytes first"),
            ("C++", "written in C++"),
        ],
    )
    def test_an_identifier_is_found_first_by_its_whole(
        self, index: CommittingIndex, identifier: str, text: str
    ) -> None:
        decoys = "CVE 2026 and 27628 in CVE-2026-11111, c3534, § 4.1 and 2.4, vector, max bytes of an upload, C"
        fill(index, {1: decoys, 2: f"Some words before it, {text}, and some after.", 3: decoys})
        assert rows_of(index.search(identifier, 5, everything()))[0] == 2

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("café", "Der CAFÉ am Ring"),
            ("cafe", "le café noir"),
            ("straße", "Hauptstraße und Straße"),
            ("ﬁnance", "finance"),
            ("東京", "私は東京に住んでいます"),
            ("에너지", "미토콘드리아는 에너지를 생산한다"),
            ("미토콘드리아의 에너지", "에너지는 중요하다"),
            ("भाषा", "हिन्दी भाषा में"),
            ("ภาษา", "ผมพูดภาษาไทย"),
            ("مرحبا", "مرحبا بالعالم"),
            ("Ελλάδα", "η Ελλάδα είναι"),
            ("😀 smile", "a 😀 smile"),
        ],
    )
    def test_text_of_any_script_is_found(self, index: CommittingIndex, query: str, text: str) -> None:
        fill(index, {1: text, 2: "unrelated"})
        assert rows_of(index.search(query, 5, everything())) == [1]

    # -- phrases and identifiers

    def test_a_quoted_phrase_finds_its_words_next_to_each_other_alone(self, index: CommittingIndex) -> None:
        fill(index, {1: "sales of net and rope, net net sales-figures", 2: "sales net", 3: "the net result of sales"})
        assert rows_of(index.search('"net sales"', 5, everything())) == [1]
        assert sorted(rows_of(index.search("net sales", 5, everything()))) == [1, 2, 3]
        assert index.search('"sales result"', 5, everything()) == []

    def test_within_a_longer_query_passages_that_have_the_phrase_come_first(self, index: CommittingIndex) -> None:
        sales = "net of all sales, sales net in autumn, autumn, autumn"
        fill(index, {1: "net sales fell", 2: "net sales rose in autumn", 3: "autumn leaves", 4: sales} | OTHERS)
        assert rows_of(index.search('autumn "net sales"', 5, everything()))[:2] == [2, 1]
        assert sorted(rows_of(index.search('autumn "net sales"', 5, everything()))) == [1, 2, 3, 4]

    def test_a_phrase_of_stop_words_and_letters_counts_within_a_longer_query(self, index: CommittingIndex) -> None:
        fill(
            index, {1: "vitamin, vitamin: deficiency D", 2: "the vitamin D level and its deficiency in winter"} | OTHERS
        )
        assert rows_of(index.search('deficiency of "vitamin d"', 5, everything())) == [2, 1]

    def test_all_of_several_phrases_are_needed(self, index: CommittingIndex) -> None:
        fill(index, {1: "red fox and grey wolf", 2: "red fox and wolf, grey", 3: "grey wolf"})
        assert rows_of(index.search('"red fox" "grey wolf"', 5, everything())) == [1]

    @pytest.mark.parametrize(
        ("query", "text", "other"),
        [
            ('"Vitamin D"', "too little vitamin D in winter", "vitamin C, and D as a grade"),
            ('"to be or not to be"', "To be, or not to be: that is it", "to be and not or"),
            ('"approved mergers"', "the APPROVED mergers", "an approved merger"),
            ('"naive approach"', "a naïve approach", "naive, then approach"[::-1]),
            ('"东京"', "我住在东京", "东方的北京"),
            ('"에너지 생산"', "에너지 생산을 늘린다", "생산 에너지를"),
            ('“net sales”', "net sales", "net of sales"),
            ('"C++ templates"', "about C++ templates", "templates in C++"),
        ],
    )  # fmt: skip
    def test_a_phrase_is_as_written_but_for_case_and_accents(
        self, index: CommittingIndex, query: str, text: str, other: str
    ) -> None:
        fill(index, {1: other, 2: text})
        assert rows_of(index.search(query, 5, everything())) == [2]

    def test_no_phrase_goes_from_the_title_into_the_text(self, index: CommittingIndex) -> None:
        index.add([1, 2], [passage("sales fell"), passage("net sales")], ["The net", "Report"], [1, 1])
        index.commit()
        assert rows_of(index.search('"net sales"', 5, everything())) == [2]
        assert rows_of(index.search('"the net"', 5, everything())) == [1]

    def test_narrowing_keeps_what_is_allowed_and_has_the_phrase(self, index: CommittingIndex) -> None:
        fill(index, {row: "net sales" if row % 3 else "sales net" for row in range(1, 31)})
        narrowed = index.narrowed('"net sales"', allow(range(1, 10), size=40))
        assert np.flatnonzero(narrowed.rows).tolist() == [1, 2, 4, 5, 7, 8]
        assert narrowed.count == 6
        unquoted = allow([1])
        assert index.narrowed("net sales", unquoted) is unquoted
        assert index.narrowed('"net sales" and more', unquoted) is unquoted

    @pytest.mark.parametrize(
        ("identifier", "text", "decoy"),
        [
            ("§ 4.2", "see § 4.2 of this", "§ 4.1, § 2.4, § 4.2.1 and 42; 4, 2, 4, 2"),
            ("CVE-2026-27628", "fixes CVE-2026-27628 there", "CVE 2026, CVE 27628, CVE CVE 2026 2026 27628 27628"),
            ("std::vector", "a std::vector of", "std std vector vector vector std"),
            ("10.1000/xyz", "doi 10.1000/xyz as", "10 1000 xyz xyz 1000 xyz 10.1000 xyz2"),
            ("src/core/errors.py", "in src/core/errors.py there", "core src errors py py errors errors core"),
            (r"C:\temp\log.txt", r"open C:\temp\log.txt now", "temp log temp txt log txt c temp"),
            ("ORA-00942", "error ORA-00942", "ORA ORA 00942 00942"),
            ("max_upload_bytes", "set max_upload_bytes to", "upload upload bytes max bytes max"),
        ],
    )
    def test_passages_that_have_an_identifier_whole_come_before_all_others(
        self, index: CommittingIndex, identifier: str, text: str, decoy: str
    ) -> None:
        long = " ".join(f"matter{i}" for i in range(300))
        fill(index, {1: decoy, 2: f"{long} {text} {long}", 3: decoy} | OTHERS)
        assert rows_of(index.search(identifier, 5, everything()))[0] == 2

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("R&D", "the R&D budget"),
            ("AT&T", "a bill of AT&T"),
            ("I/O", "an I/O error on the disk"),
            ("A/B", "an A/B test"),
            ("Q&A", "the Q&A page"),
            ("M&A", "M&A, as they say"),
            ("1,5", "a value of 1,5 mm"),
            ("M&A I/O", "the I/O of a branch"),
            ('is "to be" it', "the wish to be there"),
        ],
    )
    def test_letters_and_stop_words_that_stand_together_are_found_though_none_is_a_term(
        self, index: CommittingIndex, query: str, text: str
    ) -> None:
        fill(index, {1: "a t d o i b q m 5 1 be, to r", 2: text, 3: "rd, io"} | OTHERS)
        ((row, score),) = index.search(query, 5, everything())
        assert row == 2 and score > 0
        assert index.search(query, 5, allow([1, 3])) == []

    # -- languages

    def test_each_passage_is_found_in_its_own_language(self, index: CommittingIndex) -> None:
        texts = {
            1: ("The committees discussed several decisions", "en"),
            2: ("Die Ausschüsse berieten über mehrere Entscheidungen", "de"),
            3: ("Los comités discutieron varias decisiones importantes", "es"),
            4: ("ناقشت اللجان عدة قرارات المدرسة", "ar"),
            5: ("समितियों ने कई निर्णयों पर चर्चा की", "hi"),
        }
        index.add(
            list(texts), [passage(t) for t, _ in texts.values()], [""] * 5, [1] * 5, [c for _, c in texts.values()]
        )
        index.commit()
        for query, row in (
            ("decision of the committee", 1),
            ("Entscheidung", 2),
            ("importante comité", 3),
            ("مدرسة", 4),
            ("समिति", 5),
        ):
            assert rows_of(index.search(query, 5, everything()))[:1] == [row], query

    def test_a_collection_in_english_is_searched_as_if_there_were_no_other(self, index: CommittingIndex) -> None:
        english = {1: "die casting of marine alloys", 2: "marines in the navy", 3: "the sea"} | OTHERS
        fill(index, english)
        before = index.search("die marines", 5, allow(english, collections=(1,)))
        index.add([50], [passage("Die Marine")], [""], [2], ["de"])
        index.commit()
        # The statistics count every passage, whoever may see it; what is looked for has stayed the same.
        after = index.search("die marines", 5, allow(english, collections=(1,)))
        assert rows_of(after) == rows_of(before)

    # -- changing

    def test_a_removed_passage_is_gone_and_an_unknown_row_is_ignored(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple", 2: "apple"})
        index.remove([1, 77])
        index.commit()
        assert rows_of(index.search("apple", 5, everything())) == [2]
        assert len(index) == 1

    def test_adding_a_row_again_replaces_it(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple", 2: "pear"})
        fill(index, {1: "cherry"})
        assert index.search("apple", 5, everything()) == []
        assert rows_of(index.search("cherry", 5, everything())) == [1]
        assert len(index) == 2

    def test_adding_the_same_twice_finds_the_same(self, index: CommittingIndex) -> None:
        texts = invented(50)
        fill(index, texts)
        before = index.search(WORDS[5], 100, everything())
        fill(index, texts)
        index.add([3, 3], [passage(texts[3])] * 2, ["", ""], [1, 1])
        index.commit()
        assert len(index) == 50
        # Not the same order: an engine may count replaced passages in its statistics for a while.
        assert sorted(rows_of(index.search(WORDS[5], 100, everything()))) == sorted(rows_of(before))

    def test_remove_and_add_within_one_commit(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple", 2: "pear"})
        index.remove([1])
        index.add([1, 3], [passage("plum"), passage("apple")], ["", ""], [1, 1])
        index.remove([2])
        index.commit()
        assert rows_of(index.search("apple pear plum", 5, everything())) == [1, 3]

    # -- filters

    @pytest.mark.parametrize("share", [1.0, 0.1, 0.01, 0.001])
    def test_a_filter_loses_nothing_that_it_lets_through(self, index: CommittingIndex, share: float) -> None:
        texts = invented(1000)
        fill(index, texts, {row: 1 + row % 4 for row in texts})
        chosen = random.Random(1).sample(sorted(texts), max(1, int(1000 * share)))
        for query in (WORDS[0], f"{WORDS[1]} {WORDS[7]}", " ".join(WORDS[20:24])):
            every = index.search(query, 1000, everything())
            wanted = [row for row in rows_of(every) if row in set(chosen)]
            found = index.search(query, 10, allow(chosen, collections=(1, 2, 3, 4)))
            assert rows_of(found) == wanted[:10]

    def test_a_collection_that_is_not_asked_for_is_not_found(self, index: CommittingIndex) -> None:
        texts = invented(1000)
        fill(index, texts, {row: 1 + row % 4 for row in texts})
        mine = [row for row in texts if row % 4 == 2]
        hits = index.search(WORDS[0], 1000, allow(mine, collections=(3,)))
        assert hits
        assert set(rows_of(hits)) <= set(mine)
        wanted = [row for row in rows_of(index.search(WORDS[0], 1000, everything())) if row in set(mine)]
        assert rows_of(hits) == wanted

    def test_rows_beyond_the_bitmap_are_not_found(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple", 50: "apple"})
        assert rows_of(index.search("apple", 5, allow([1], size=10))) == [1]

    def test_nothing_allowed_finds_nothing(self, index: CommittingIndex) -> None:
        fill(index, {1: "apple"})
        assert index.search("apple", 5, allow([], size=10)) == []

    # -- several at once

    def test_the_same_search_gives_the_same_answer(self, index: CommittingIndex) -> None:
        fill(index, invented(500))
        first = index.search(f"{WORDS[2]} {WORDS[9]}", 25, everything())
        assert all(index.search(f"{WORDS[2]} {WORDS[9]}", 25, everything()) == first for _ in range(5))

    def test_readers_see_whole_states_while_a_writer_works(self, index: CommittingIndex) -> None:
        fill(index, {row: f"stays {WORDS[row % 9]}" for row in range(1, 41)})

        def write() -> None:
            for i in range(12):
                rows = list(range(100 + 10 * i, 110 + 10 * i))
                fill(index, dict.fromkeys(rows, "comes and goes"))
                index.remove(rows)
                index.commit()

        def read() -> int:
            for _ in range(40):
                assert sorted(rows_of(index.search("stays", 100, everything()))) == list(range(1, 41))
            return 1

        with ThreadPoolExecutor(4) as pool:
            writer = pool.submit(write)
            readers = [pool.submit(read) for _ in range(3)]
            writer.result()
            assert sum(r.result() for r in readers) == 3
        assert index.search("comes", 10, everything()) == []
