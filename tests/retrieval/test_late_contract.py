"""Both indexes of token vectors keep the contract; the compressed one is held against the exact one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from core.errors import IndexDamaged, InvalidRequest
from retrieval.late import codec as codecs
from retrieval.late import compressed, files
from retrieval.late.codec import train
from retrieval.late.compressed import CompressedLateIndex
from retrieval.late.exact import ExactLateIndex
from retrieval.late.pooling import pool_neighbours
from tests.contract.late_index_suite import (
    DIM,
    LateIndexSuite,
    allow,
    brute_force,
    everything,
    passages,
    row_numbers,
    rows_of,
    token_vectors,
)


def trained(bits=4, n=4000):
    return train(token_vectors(n, 500), n_tokens=n, bits=bits, reduced=DIM)


@pytest.fixture(scope="module")
def codec():
    return trained()


class TestExactLateIndex(LateIndexSuite):
    @pytest.fixture
    def index(self):
        return ExactLateIndex(DIM)


class TestCompressedLateIndex(LateIndexSuite):
    tolerance = 0.02  # four bits of each dimension

    @pytest.fixture
    def index(self, codec):
        return CompressedLateIndex(codec)


# ---------------------------------------------------------------- the codec


@pytest.mark.parametrize(("bits", "cosine"), [(1, 0.93), (2, 0.97), (4, 0.99)])
def test_more_bits_keep_more_of_a_vector(bits, cosine):
    codec, vectors = trained(bits), token_vectors(500, 3)
    back = codec.decode(*codec.encode(vectors)) @ codec.projection.T
    kept = np.sum(back * vectors, axis=1) / np.linalg.norm(back, axis=1)
    assert float(kept.mean()) > cosine
    assert codec.bytes_per_token == 2 + DIM * bits // 8


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_an_inner_product_with_bits_is_one_with_what_is_decoded(bits):
    """q · r = bits · w + c: nothing need be decompressed to be compared."""
    codec = trained(bits)
    query, (codes, packed) = codec.project(token_vectors(5, 8)), codec.encode(token_vectors(40, 9))
    weights, constant = codec.bit_weights(query)
    by_bits = codec.bits_of(packed) @ weights.T + constant + (query @ codec.centroids.T).T[codes]
    assert np.abs(by_bits - codec.decode(codes, packed) @ query.T).max() < 1e-5


def test_the_same_vectors_give_the_same_codec():
    one, other = trained(), trained()
    assert np.array_equal(one.centroids, other.centroids) and np.array_equal(one.step, other.step)


def test_a_projection_keeps_inner_products_of_what_lies_in_it():
    """Vectors of 6 dimensions in a space of 32 lose nothing by being kept in 6."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(DIM, 6)))[0]
    vectors = (rng.normal(size=(300, 6)) @ basis.T).astype(np.float32)
    codec = train(vectors, n_tokens=300, reduced=6)
    assert np.abs(codec.project(vectors) @ codec.project(vectors).T - vectors @ vectors.T).max() < 1e-3


def test_a_codec_is_trained_on_a_single_token_and_on_equal_ones():
    for sample in (token_vectors(1, 1), np.repeat(token_vectors(1, 1), 50, axis=0)):
        codec = train(sample, n_tokens=len(sample))
        back = codec.decode(*codec.encode(sample))
        assert np.abs(back - codec.project(sample)).max() < 1e-3


@pytest.mark.parametrize(("tokens", "centroids"), [(1, 1), (100, 32), (10_000, 512), (1_000_000, 4096), (10**9, 4096)])
def test_centroids_grow_with_the_root_of_the_tokens(tokens, centroids):
    assert codecs.centroids_for(tokens) == centroids  # 4√n as a power of two: 40 → 32, 400 → 512, 4000 → 4096


def test_nonsense_is_refused():
    with pytest.raises(InvalidRequest, match="at least one"):
        train(np.empty((0, DIM), np.float32), n_tokens=0)
    with pytest.raises(InvalidRequest, match="1, 2 or 4 bits"):
        train(token_vectors(9, 1), n_tokens=9, bits=3)  # type: ignore[arg-type]


def test_neighbouring_tokens_become_their_normalised_mean():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    half = 0.5**0.5  # (1, 0) + (0, 1) = (1, 1), of length √2
    assert pool_neighbours(vectors, 2) == pytest.approx(np.array([[half, half], [0.6, 0.8]]), abs=1e-6)
    assert pool_neighbours(vectors, 1) is vectors


# ---------------------------------------------------------------- finding candidates


@pytest.fixture
def narrow_stages(monkeypatch):
    """Stages that pass on few, so that a few thousand passages are as many as millions."""
    monkeypatch.setattr(compressed, "NEAR", 200)
    monkeypatch.setattr(compressed, "EXACT", 100)
    monkeypatch.setattr(compressed, "PROBES", 8)


@pytest.fixture(scope="module")
def many(codec):
    """Passages, and what the codec makes of their tokens."""
    tokens = passages(1500)
    return tokens, [codec.decode(*codec.encode(v)) @ codec.projection.T for v in tokens]


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_candidates_by_centroids_find_what_brute_force_finds_under_any_filter(narrow_stages, codec, many, share):
    tokens, back = many
    n = len(tokens)
    index = CompressedLateIndex(codec)
    for start in range(0, n, 500):
        index.add(row_numbers(500, 1 + start), tokens[start : start + 500])
    rows = sorted(np.random.default_rng(1).permutation(n)[: round(share * n)] + 1)
    kept, differences = [], []
    for seed in range(20):
        query = token_vectors(8, 9000 + seed)
        wanted = rows_of(brute_force(back, query, 10, rows))
        uncompressed = dict(brute_force(tokens, query, n, rows))
        hits = index.search(query, 10, allow(rows, n + 1))
        assert set(rows_of(hits)) <= set(rows) and len(hits) == 10
        kept.append(len(set(wanted) & set(rows_of(hits))) / len(wanted))
        differences += [abs(score - uncompressed[row]) for row, score in hits]
    # Two hundred of 1,500 pass the first stage; what a filter leaves of 150 or 15 is compared whole.
    least = 0.97 if share == 1.0 else 1.0
    assert np.mean(kept) >= least, f"recall@10 against brute force over the same vectors: {np.mean(kept):.3f}"
    assert max(differences) <= 0.02, "of a score, to what it is without compression"


def test_within_its_own_precision_a_narrow_filter_is_searched_exactly(narrow_stages, codec, many):
    """What is left is fewer than a stage would pass on: the best of decompressed MaxSim, all of them."""
    tokens, back = many
    index = CompressedLateIndex(codec)
    index.add(row_numbers(len(tokens)), tokens)
    rows = list(range(5, len(tokens), 38))  # 40
    for seed in range(10):
        query = token_vectors(8, 9000 + seed)
        wanted = brute_force(back, query, 10, rows)
        hits = index.search(query, 10, allow(rows, len(tokens) + 1))
        assert [round(s, 4) for _, s in hits] == [round(s, 4) for _, s in wanted]


def test_searching_goes_on_while_passages_come_and_go(codec):
    """Rows 1 to 50 stay: every answer has all of them, whatever is added, merged and removed meanwhile."""
    tokens = passages(50)
    index = CompressedLateIndex(codec)
    index.add(row_numbers(50), tokens)
    stop, failures = threading.Event(), []

    def look():
        while not stop.is_set():
            found = rows_of(index.search(token_vectors(5, 3), 50, allow(range(1, 51))))
            if sorted(found) != list(range(1, 51)):
                failures.append(found)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for round_ in range(30):
        first = 100 + 10 * round_
        index.add(row_numbers(10, first), passages(10, first))
        index.remove(range(first, first + 5))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(index) == 50 + 30 * 5


# ---------------------------------------------------------------- the file


def test_a_file_holds_the_same_index(tmp_path, codec):
    index = CompressedLateIndex(codec, pooling=2)
    index.add(row_numbers(80), passages(80))
    index.remove([3, 4])
    files.save(index, tmp_path / "late.safetensors")
    loaded = files.load(tmp_path / "late.safetensors")
    query = token_vectors(7, 4)
    assert len(loaded) == 78 and loaded.pooling == 2
    assert loaded.search(query, 80, everything()) == index.search(query, 80, everything())
    loaded.add(np.array([3]), [token_vectors(5, 1)])
    assert len(loaded) == 79


def test_a_damaged_file_is_refused(tmp_path, codec):
    index = CompressedLateIndex(codec)
    index.add(row_numbers(10), passages(10))
    path = tmp_path / "late.safetensors"
    files.save(index, path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"{}" + whole, b"\x00" * len(whole)):
        path.write_bytes(damaged)
        with pytest.raises(IndexDamaged):
            files.load(path)


@pytest.mark.parametrize("name", ["rows", "lengths", "codes", "packed", "centroids", "step", "numbers"])
def test_arrays_that_do_not_fit_together_are_refused(codec, name):
    index = CompressedLateIndex(codec)
    index.add(row_numbers(10), passages(10))
    arrays = files.to_arrays(index)
    files.from_arrays(arrays, "here")
    cut = arrays[name][:-1] if name != "centroids" else arrays[name][:, :-1]
    for wrong in (cut, arrays[name].astype(np.float64)):
        with pytest.raises(IndexDamaged):
            files.from_arrays({**arrays, name: wrong}, "here")
    with pytest.raises(IndexDamaged):
        files.from_arrays({**arrays, "codes": np.full_like(arrays["codes"], 65_535)}, "here")
