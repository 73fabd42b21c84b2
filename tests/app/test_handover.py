from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from app.handover import Result, pack, unpack
from core.errors import InvalidRequest
from core.types import Chunk, Document, PageSpan
from retrieval.token_rows import TokenVectors


def a_result() -> Result:
    text = "Füße 👣 walk.\nSecond page."
    document = Document(
        doc_id="d1",
        collection="c",
        uri="a.pdf",
        title="A",
        mime_type="application/pdf",
        sha256="0" * 64,
        text=text,
        pages=(PageSpan(number=1, start=0, end=13), PageSpan(number=2, start=13, end=len(text))),
        metadata={"author": "Ж"},
    )
    chunks = (
        Chunk(chunk_id="c1", doc_id="d1", text=text[0:12], start=0, end=12, n_tokens=5, page=1, heading_path=("H",)),
        Chunk(chunk_id="c2", doc_id="d1", text=text[13:25], start=13, end=25, n_tokens=3, page=2),
    )
    return Result(
        document=document,
        chunks=chunks,
        vectors=np.eye(2, 4, dtype=np.float32),
        encoder_revision="e",
        chunker_version="k",
        warnings=("page 3 is an image",),
        partial=True,
        seconds=1.5,
    )


def test_what_is_packed_is_unpacked_unchanged() -> None:
    made = a_result()
    found = unpack(pack(made))
    assert found.document == made.document
    assert found.chunks == made.chunks
    assert found.warnings == made.warnings
    np.testing.assert_array_equal(found.vectors, made.vectors)


def test_token_vectors_travel_with_the_chunks_they_are_of() -> None:
    packed = [np.arange(n * 2, dtype=np.uint8).reshape(n, 2) for n in (3, 1)]
    made = dataclasses.replace(a_result(), tokens=TokenVectors(revision="e-packed-1", packed=packed))
    found = unpack(pack(made)).tokens
    assert found is not None and found.revision == "e-packed-1"
    assert [p.tolist() for p in found.packed] == [p.tolist() for p in packed]
    assert unpack(pack(a_result())).tokens is None


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_damaged_result_is_refused_not_half_read(cut: int) -> None:
    with pytest.raises(InvalidRequest, match="not a worker's result"):
        unpack(pack(a_result())[:cut])
