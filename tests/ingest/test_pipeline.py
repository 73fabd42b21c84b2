"""One file through all stages, with an encoder that needs no model."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from core.errors import EmptyDocument, RunCancelled
from core.ids import document_id
from core.settings import Settings
from core.types import Chunk
from ingest.embed_text import embedded_text
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import parse_limits, process
from tests.support.drawn_pdfs import both, image, lines, pdf
from tests.support.tokenizers import ToyTokenizer


class LetterEncoder:
    """Counts letters; 24 word pieces with two special ones, as short as a test wants it."""

    dim = 26
    revision = "letters"
    max_tokens = 26
    tokenizer = ToyTokenizer()

    def __init__(self):
        self.batches = []

    def encode_documents(self, texts):
        self.batches.append(len(texts))
        counts = np.array(
            [[t.lower().count(c) + 1e-6 for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], np.float32
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    encode_queries = encode_documents

    def encode_tokens(self, texts):
        return [self.encode_documents([t]) for t in texts]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(parse_limits(Settings(ocr="off"))) as shared:
        yield shared


@pytest.fixture
def run(tmp_path, sandbox):
    def run(content, filename="a.txt", cancelled=lambda: False, encoder=None, **settings):
        path = tmp_path / "content"
        path.write_bytes(content)
        reports = []
        made = process(
            path, filename, collection="c", uri=filename, sha256=hashlib.sha256(content).hexdigest(),
            settings=Settings(**settings), encoder=encoder or LetterEncoder(),
            report=lambda state, progress: reports.append((state, progress)), cancelled=cancelled, sandbox=sandbox,
        )  # fmt: skip
        return made, reports

    return run


def test_a_file_becomes_a_document_with_chunks_and_vectors(run):
    text = "The fox went out. " * 40
    made, reports = run(text.encode(), chunk_overlap_tokens=4)
    assert made.document.doc_id == document_id("c", "a.txt")
    assert (made.document.title, made.document.mime_type, made.document.collection) == ("a", "text/plain", "c")
    assert made.vectors.shape == (len(made.chunks), 26)
    assert made.vectors.dtype == np.float32
    assert all(c.text == made.document.text[c.start : c.end] for c in made.chunks)
    assert max(c.n_tokens for c in made.chunks) <= 24, "26 less the two special pieces, though the settings say 200"
    assert set(made.seconds) == {"parse", "facts", "chunk", "encode", "signature"}
    assert [s for s, _ in reports][:2] == ["parsing", "parsing"]
    assert reports[-1][0] == "encoding"
    assert [p for _, p in reports] == sorted(p for _, p in reports)


def test_the_version_says_what_was_used(run):
    made, _ = run(b"some words", chunk_overlap_tokens=4)
    other, _ = run(b"some words", chunk_overlap_tokens=5)
    assert made.chunker_version == "fixed5-24-4-parse8"
    assert other.chunker_version != made.chunker_version


def test_a_pdf_keeps_pages_and_says_what_was_lost(run):
    data = pdf(lines(["A page of text that says something."]), both(image(), lines(["stamp"])))
    made, _ = run(data, "scan.pdf")
    assert [(p.number, made.document.text[p.start : p.end]) for p in made.document.pages] == [
        (1, "A page of text that says something."),
        (2, "stamp"),
    ]
    assert made.chunks[0].page == 1
    assert made.partial
    assert made.document.metadata["incomplete"] is True
    assert made.warnings == tuple(made.document.metadata["warnings"])
    assert "page 2 is mostly an image" in made.warnings[0]


def test_what_the_settings_say_of_ocr_reaches_the_parser():
    limits = parse_limits(Settings(ocr="off", ocr_languages="deu+eng", ocr_max_pages=3, ocr_page_s=7))
    assert (limits.ocr, limits.ocr_languages, limits.ocr_max_pages, limits.ocr_page_s) == ("off", "deu+eng", 3, 7)


def test_headings_are_kept_for_chunking_anew(run):
    made, _ = run(b"# One\n\nwords\n\n## Two\n\nmore", "a.md")
    assert made.document.metadata["headings"] == [[1, "One", 0], [2, "Two", 14]]


def test_what_cannot_be_read_is_raised(run):
    with pytest.raises(EmptyDocument, match=r"a\.txt is empty"):
        run(b"")


def test_cancelling_while_parsing(run):
    with pytest.raises(RunCancelled):
        run(b"words", cancelled=lambda: True)


def test_cancelling_between_batches(run):
    encoder = LetterEncoder()
    text = ("word " * 30 + "\n\n") * 600
    with pytest.raises(RunCancelled):
        run(text.encode(), cancelled=lambda: len(encoder.batches) >= 2, encoder=encoder, chunk_overlap_tokens=0)
    assert len(encoder.batches) == 2
    assert max(encoder.batches) <= 128


def test_cancelling_while_an_encoder_looks_for_breaks(run):
    encoder = LetterEncoder()
    text = "".join(f"Here is sentence {i}. " for i in range(2000))
    with pytest.raises(RunCancelled):
        run(text.encode(), cancelled=lambda: len(encoder.batches) >= 2, encoder=encoder, chunk_overlap_tokens=0,
            chunker="semantic")  # fmt: skip
    assert len(encoder.batches) == 2
    assert max(encoder.batches) <= 128


@pytest.mark.parametrize("chunker", ["fixed", "sentence", "semantic", "parent-child"])
def test_every_chunker_gives_a_vector_per_chunk_and_its_own_version(run, chunker):
    made, _ = run(b"The fox went out. The hen stayed in. " * 20, chunk_overlap_tokens=4, chunker=chunker)
    assert made.chunker_version.startswith(chunker)
    assert len(made.vectors) == len(made.chunks) > 1
    assert {c.parent_id for c in made.chunks} == ({p.chunk_id for p in made.parents} or {None})


def test_without_a_sandbox_one_is_made_and_ended(tmp_path):
    path = tmp_path / "a"
    path.write_text("a few words")
    made = process(
        path, "a.txt", collection="c", uri="a.txt", sha256="0", settings=Settings(), encoder=LetterEncoder(),
        report=lambda *_: None, cancelled=lambda: False,
    )  # fmt: skip
    assert [c.text for c in made.chunks] == ["a few words"]


@pytest.mark.parametrize(
    ("how", "room", "expected"),
    [
        ("none", 100, "the chunk"),
        ("title", 100, "A title\nthe chunk"),
        ("headings", 100, "A title > Part > Detail\nthe chunk"),
        ("headings", 8, "A title >\nthe chunk"),  # 8 − 4 of the chunk leaves 4: "A", "titl", "e", ">"
        ("headings", 4, "the chunk"),
    ],
)
def test_the_context_of_an_embedded_chunk_never_cuts_the_chunk(how, room, expected):
    chunk = Chunk(
        chunk_id="c", doc_id="d", text="the chunk", start=0, end=9, n_tokens=4, heading_path=("Part", "Detail")
    )
    assert embedded_text("A title", chunk, how, ToyTokenizer(), room) == expected


def test_the_context_is_part_of_the_version(run):
    plain, _ = run(b"some words", chunk_overlap_tokens=4)
    titled, _ = run(b"some words", chunk_overlap_tokens=4, embed_context="title")
    assert titled.chunker_version == plain.chunker_version + "-title"
    assert [c.chunk_id for c in titled.chunks] == [c.chunk_id for c in plain.chunks]
    assert not np.array_equal(titled.vectors, plain.vectors)
