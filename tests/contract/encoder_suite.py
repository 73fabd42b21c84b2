"""What every Encoder must do. A subclass gives ``encoder`` as a fixture.

Vectors are compared by their largest absolute difference: rows are of norm 1, so 1e-4 is a cosine of at least
1 − dim · 1e-8 / 2, far above 0.9999.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.protocols import Encoder

PASSAGES = [
    "Revenue rose 12 % to $94.9 billion in the quarter.",
    "The mitochondrion is the powerhouse of the cell.",
    "short",
    "A longer passage that says the same thing again and again, so that it has a good many word pieces. " * 6,
    "Zürich, Ångström, naïve café — «quoted» … 10² ½",
    "漢字かな交じり文と한국어",
    "emoji 😀👩‍👩‍👧 and 𝔐𝔞𝔱𝔥",
    "",
    "   \t\n ",
    "tab\tnull\x00bell\x07 and \u200b zero width",
]
# Any text at all, with the awkward planes made likely.
TEXTS = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("aé\u0301\u0300e ñ한ﬁßİ\u0345\x00\x07\u200b\ufeff\u00ad\n\t.,-漢😀𝔐"),
    ),
    max_size=60,
)
TOLERANCE = 1e-4


class EncoderSuite:
    @pytest.fixture
    def tolerance(self) -> float:
        """Largest difference allowed between two ways to compute one vector; wider for low precision."""
        return TOLERANCE

    # -- shape and kind

    def test_vectors_are_float32_rows_of_norm_one(self, encoder: Encoder) -> None:
        for encode in (encoder.encode_queries, encoder.encode_documents):
            vectors = encode(PASSAGES)
            assert vectors.shape == (len(PASSAGES), encoder.dim)
            assert vectors.dtype == np.float32
            assert np.isfinite(vectors).all()
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_no_texts_give_no_rows(self, encoder: Encoder) -> None:
        assert encoder.encode_queries([]).shape == (0, encoder.dim)
        assert encoder.encode_documents([]).shape == (0, encoder.dim)
        assert encoder.encode_documents([]).dtype == np.float32
        assert encoder.encode_tokens([]) == []

    def test_one_string_in_place_of_a_list_is_refused(self, encoder: Encoder) -> None:
        for encode in (encoder.encode_queries, encoder.encode_documents, encoder.encode_tokens):
            with pytest.raises(InvalidRequest, match="list of texts"):
                encode("a string is a sequence of strings, and never what was meant")

    def test_token_vectors_are_rows_of_norm_one_for_every_text(self, encoder: Encoder) -> None:
        tokens = encoder.encode_tokens(PASSAGES)
        counts = encoder.tokenizer.count(PASSAGES)
        assert len(tokens) == len(PASSAGES)
        for vectors, count in zip(tokens, counts, strict=True):
            assert vectors.dtype == np.float32
            assert vectors.shape[1] == encoder.dim
            assert min(count, encoder.max_tokens - 2) <= len(vectors) <= min(count + 2, encoder.max_tokens)
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    # -- the same text, the same vector

    def test_order_and_company_do_not_change_a_vector(self, encoder: Encoder, tolerance: float) -> None:
        together = encoder.encode_documents(PASSAGES)
        backwards = encoder.encode_documents(PASSAGES[::-1])[::-1]
        alone = np.concatenate([encoder.encode_documents([p]) for p in PASSAGES])
        np.testing.assert_allclose(together, backwards, atol=tolerance)
        np.testing.assert_allclose(together, alone, atol=tolerance)

    def test_company_does_not_change_token_vectors(self, encoder: Encoder, tolerance: float) -> None:
        for together, passage in zip(encoder.encode_tokens(PASSAGES), PASSAGES, strict=True):
            np.testing.assert_allclose(together, encoder.encode_tokens([passage])[0], atol=10 * tolerance)

    def test_twice_the_same_call_gives_the_same_vectors(self, encoder: Encoder) -> None:
        np.testing.assert_array_equal(encoder.encode_documents(PASSAGES), encoder.encode_documents(PASSAGES))

    def test_threads_share_one_encoder(self, encoder: Encoder, tolerance: float) -> None:
        expected = encoder.encode_documents(PASSAGES)
        with ThreadPoolExecutor(max_workers=4) as pool:
            many = [pool.submit(encoder.encode_documents, PASSAGES) for _ in range(4)]
            single = [pool.submit(encoder.encode_queries, [p]) for p in PASSAGES]
            counts = [pool.submit(encoder.tokenizer.count, PASSAGES) for _ in range(4)]
            for future in many:
                np.testing.assert_allclose(future.result(), expected, atol=tolerance)
            for future, query in zip(single, encoder.encode_queries(PASSAGES), strict=True):
                np.testing.assert_allclose(future.result()[0], query, atol=tolerance)
            assert len({tuple(f.result()) for f in counts}) == 1

    def test_the_revision_is_stable_and_safe_in_a_file_name(self, encoder: Encoder) -> None:
        revision = encoder.revision
        assert revision == encoder.revision
        assert revision
        assert not set(revision) & set('/\\: \t\n"*?<>|')

    # -- long and strange input

    def test_what_is_past_the_longest_input_is_cut_off(self, encoder: Encoder, tolerance: float) -> None:
        piece = "word "
        exact = encoder.max_tokens - 2  # [CLS] and [SEP] take two
        assert encoder.tokenizer.count([piece * exact]) == [exact]
        vectors = encoder.encode_documents([piece * exact, piece * (exact + 500), piece * exact + "else " * 20_000])
        np.testing.assert_allclose(vectors[0], vectors[1], atol=tolerance)
        np.testing.assert_allclose(vectors[0], vectors[2], atol=tolerance)
        assert len(encoder.encode_tokens([piece * (exact + 500)])[0]) <= encoder.max_tokens

    def test_half_a_surrogate_pair_is_read_as_an_unknown_character(self, encoder: Encoder) -> None:
        text = "before \ud83d after"
        assert np.isfinite(encoder.encode_documents([text])).all()
        assert text[slice(*encoder.tokenizer.spans(text)[-1])] == "after"

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(text=TEXTS)
    def test_spans_are_places_in_the_text(self, encoder: Encoder, text: str) -> None:
        spans = encoder.tokenizer.spans(text)
        assert [len(spans)] == encoder.tokenizer.count([text])
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(spans))

    def test_spans_count_code_points_not_bytes(self, encoder: Encoder) -> None:
        # Each prefix is 1 code point but 1 to 4 bytes of UTF-8.
        for prefix in ("a", "é", "漢", "😀", "𝔐"):
            text = f"{prefix} 😀 hello world"
            pieces = [text[start:end] for start, end in encoder.tokenizer.spans(text)]
            assert "".join(pieces[-4:]).replace("😀", "").endswith("helloworld"), pieces

    def test_spans_are_neither_cut_nor_given_special_pieces(self, encoder: Encoder) -> None:
        n = encoder.max_tokens * 3
        spans = encoder.tokenizer.spans("word " * n)
        assert spans[0] == (0, 4)
        assert len(spans) == n
        assert spans[-1] == (5 * (n - 1), 5 * (n - 1) + 4)

    # -- meaning

    def test_a_text_is_nearest_to_itself(self, encoder: Encoder) -> None:
        meant = PASSAGES[:5]
        vectors = encoder.encode_documents(meant)
        assert (vectors @ vectors.T).argmax(axis=1).tolist() == list(range(len(meant)))
