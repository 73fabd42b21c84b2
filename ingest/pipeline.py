"""One file through all stages, up to what the store takes in. Pure: it reads a file and writes nothing.

file ─parse (child process)─▶ ParsedDocument ─facts─▶ Document ─chunk─▶ Chunk … ─encode─▶ vectors

Facts are what a text says of itself: its language, and personal data, which may be taken out before anything else sees them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.errors import RunCancelled
from core.ids import document_id
from core.protocols import Embed, Encoder, JointEncoder, NameFinder, Tokenizer
from core.settings import Settings
from core.types import Chunk, Document, PageSpan, PiiMode, Vectors
from ingest.chunk.choose import ChunkerName, chunker_version, cut
from ingest.embed_text import embedded_text
from ingest.job import JobState
from ingest.language import LanguageGuesser, declared_language
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.sandbox import Sandbox
from ingest.pii import PII_VERSION, count_pii, find_pii, redact_document
from retrieval.late.packed import Packed, pack
from retrieval.late.reading import packed_revision, read_both
from retrieval.signature import Signature, signature_of
from retrieval.token_rows import TokenVectors

_ENCODE_BATCH = 128  # chunks between two looks at ``cancelled``; the encoder sorts and batches within
_HEARTBEAT_S = 1.0
# Shares of a job's progress: parsing takes little, encoding nearly all.
_PARSED, _CHUNKED, _ENCODED = 0.10, 0.12, 0.95
# [CLS] and [SEP] of BERT; T5, MPNet and RoBERTa add as many or fewer.
SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """All that is to be stored of one file. ``vectors`` has a row per chunk; ``parents`` have none."""

    document: Document
    chunks: list[Chunk]
    vectors: Vectors  # (n_chunks, dim)
    chunker_version: str
    signature: Signature | None = None  # by which near-duplicates are found; None of a text without a word
    tokens: TokenVectors | None = None  # of the chunks; None where they do not come with the vectors
    pii: PiiMode = "off"
    parents: list[Chunk] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    partial: bool = False  # a part of the file could not be read; the warnings say which
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage: parse, facts, chunk, encode, signature


def parse_limits(settings: Settings) -> ParseLimits:
    return ParseLimits(
        max_file_bytes=settings.max_upload_bytes,
        max_pages=settings.max_pages,
        max_characters=settings.max_characters,
        timeout_s=settings.parse_timeout_s,
        memory_bytes=settings.parse_memory_bytes,
        ocr=settings.ocr,
        ocr_languages=settings.ocr_languages,
        ocr_max_pages=settings.ocr_max_pages,
        ocr_page_s=settings.ocr_page_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A file as it was read and cut, before anything is encoded."""

    document: Document
    chunks: list[Chunk]
    parents: list[Chunk]
    warnings: tuple[str, ...]
    partial: bool


def understand(
    path: Path,
    filename: str,
    *,
    collection: str,
    uri: str,
    sha256: str,
    settings: Settings,
    encoder: Encoder,
    report: Callable[[JobState, float], None],
    cancelled: Callable[[], bool],
    chunker: ChunkerName | None = None,
    pii: PiiMode = "off",
    sandbox: Sandbox | None = None,
    languages: LanguageGuesser | None = None,
    names: NameFinder | None = None,
    seconds: dict[str, float] | None = None,
) -> Understood:
    """Parses the file at ``path`` and cuts it. Nothing is encoded, but that ``semantic`` looks at vectors to cut.

    What ``pii`` redacts is gone from all that is returned.

    Arguments and errors as of ``process``; ``seconds`` is given the time of each stage.
    """
    seconds = {} if seconds is None else seconds
    report("parsing", 0.0)
    with _timed(seconds, "parse"), ExitStack() as stack:
        used = sandbox or stack.enter_context(Sandbox(parse_limits(settings)))
        parsed = used.parse(path, filename, _beating(lambda: report("parsing", 0.0), cancelled))
    report("parsing", _PARSED)
    _stop_if(cancelled)

    tick = _ticking(lambda: report("parsing", _PARSED), cancelled)
    with _timed(seconds, "facts"):
        parsed = _with_facts(parsed, pii, settings, languages or LanguageGuesser(), tick, names)
    document = to_document(parsed, collection=collection, uri=uri, sha256=sha256)
    max_tokens, overlap = chunk_budget(settings, encoder)
    with _timed(seconds, "chunk"):
        chunks, parents = cut(
            chunker or settings.chunker, document, parsed.headings, _Listening(encoder.tokenizer, report, cancelled), max_tokens, overlap,
            embed=_cancellable(encoder, report, cancelled), semantic_percentile=settings.semantic_percentile,
        )  # fmt: skip
    return Understood(
        document=document,
        chunks=chunks,
        parents=parents,
        warnings=tuple(w.message for w in parsed.warnings),
        partial=parsed.partial,
    )


def process(
    path: Path,
    filename: str,
    *,
    collection: str,
    uri: str,
    sha256: str,
    settings: Settings,
    encoder: Encoder,
    report: Callable[[JobState, float], None],
    cancelled: Callable[[], bool],
    chunker: ChunkerName | None = None,
    pii: PiiMode = "off",
    sandbox: Sandbox | None = None,
    languages: LanguageGuesser | None = None,
    names: NameFinder | None = None,
    tokens: bool = False,
) -> Processed:
    """Parses, chunks and encodes the file at ``path``.

    Args:
        filename: what the person calls it.
        uri: names the document within ``collection``.
        report: told the stage and the progress of the whole job, at least once a second while the parser works.
        cancelled: asked all the time while parsing, and between batches while encoding.
        chunker: by default that of the settings.
        pii: what is done about e-mail addresses, phone numbers and IBANs, and people's names if there are ``names``.
        sandbox: the parsing child to use, kept by callers with many files; without one a child is made for this file.
        languages: kept by callers with many files: the first guess loads for half a second.
        names: finds people's names; None where the settings name no model for that.
        tokens: whether token vectors are wanted beside the vectors. They are given if this encoder makes them in the
            same pass, of the chunks' own text.

    Raises:
        RunCancelled: ``cancelled()`` became true.
        ParseFailed and its kin, TooLarge: the file could not be taken in; the message says why.
        ModelUnavailable: personal data are asked for, and the model for names cannot be had.
    """
    seconds: dict[str, float] = {}
    read = understand(
        path,
        filename,
        collection=collection,
        uri=uri,
        sha256=sha256,
        settings=settings,
        encoder=encoder,
        report=report,
        cancelled=cancelled,
        chunker=chunker,
        pii=pii,
        sandbox=sandbox,
        languages=languages,
        names=names,
        seconds=seconds,
    )
    document, chunks = read.document, read.chunks
    report("encoding", _CHUNKED)

    with _timed(seconds, "encode"):
        room = encoder.max_tokens - SPECIAL_TOKENS
        texts = [embedded_text(document.title, c, settings.embed_context, encoder.tokenizer, room) for c in chunks]
        own = all(text == c.text for text, c in zip(texts, chunks, strict=True))
        packed: list[Packed] | None = [] if tokens and own and isinstance(encoder, JointEncoder) else None
        vectors = _encode(
            texts,
            encoder,
            lambda share: report("encoding", _CHUNKED + (_ENCODED - _CHUNKED) * share),
            cancelled,
            packed,
        )
        _stop_if(cancelled)
    with _timed(seconds, "signature"):
        signature = signature_of(document.text, _ticking(lambda: report("encoding", _ENCODED), cancelled))
    return Processed(
        document=document,
        chunks=chunks,
        parents=read.parents,
        vectors=vectors,
        chunker_version=version_of(settings, encoder, chunker, pii),
        signature=signature,
        tokens=TokenVectors(revision=packed_revision(encoder), packed=packed) if packed else None,
        pii=pii,
        warnings=read.warnings,
        partial=read.partial,
        seconds=seconds,
    )


def version_of(settings: Settings, encoder: Encoder, chunker: ChunkerName | None = None, pii: PiiMode = "off") -> str:
    """The ``chunker_version`` that ``process`` gives: what has it already need not be processed again."""
    treated = "" if pii == "off" else f"{pii}{PII_VERSION}.{'.'.join(settings.phone_regions)}"
    if treated and settings.pii_names_model:
        treated += f".names={settings.pii_names_model}"
    return chunker_version(
        chunker or settings.chunker,
        *chunk_budget(settings, encoder),
        settings.embed_context,
        settings.semantic_percentile,
        treated,
    )


def chunk_budget(settings: Settings, encoder: Encoder) -> tuple[int, int]:
    """(longest chunk, overlap) in word pieces: what the settings ask for, as far as the encoder reads."""
    max_tokens = min(settings.chunk_tokens, encoder.max_tokens - SPECIAL_TOKENS)
    return max_tokens, min(settings.chunk_overlap_tokens, max_tokens // 2)


def _with_facts(
    parsed: ParsedDocument,
    pii: PiiMode,
    settings: Settings,
    languages: LanguageGuesser,
    tick: Callable[[], None],
    names: NameFinder | None,
) -> ParsedDocument:
    """With its language, and with personal data counted or gone, as ``pii`` says."""
    metadata = dict(parsed.metadata)
    declared = metadata.pop("language", None)
    if declared:
        metadata["declared_language"] = declared
    if language := languages.guess(parsed.text) or declared_language(declared):
        metadata["language"] = language
    parsed = replace(parsed, metadata=metadata)
    match pii:
        case "off":
            return parsed
        case "flag":
            found = find_pii(parsed.text, settings.phone_regions, tick, names)
            counts = count_pii(found, names=names is not None)
        case "redact":
            parsed, counts = redact_document(parsed, settings.phone_regions, tick, names)
    return replace(parsed, metadata={**parsed.metadata, "pii": {"mode": pii, **counts}})


def to_document(parsed: ParsedDocument, *, collection: str, uri: str, sha256: str) -> Document:
    """The Document of a parsed file. Its metadata also keeps ``warnings`` (sentences), ``incomplete`` (whether
    something could not be read) and ``headings`` ([level, text, start]), so that it can be chunked anew."""
    return Document(
        doc_id=document_id(collection, uri),
        collection=collection,
        uri=uri,
        title=parsed.title,
        mime_type=parsed.mime_type,
        sha256=sha256,
        text=parsed.text,
        pages=tuple(PageSpan(number=p.number, start=p.start, end=p.end) for p in parsed.pages),
        metadata={
            **parsed.metadata,
            "headings": [list(h) for h in parsed.headings],
            "warnings": [w.message for w in parsed.warnings],
            "incomplete": parsed.partial,
        },
    )


def _cancellable(encoder: Encoder, report: Callable[[JobState, float], None], cancelled: Callable[[], bool]) -> Embed:
    """``encoder`` for chunkers: in batches, between which a cancellation is heard and a sign of life is given."""

    return lambda texts: _encode(texts, encoder, lambda _: report("parsing", _PARSED), cancelled)


class _Listening:
    """A tokenizer that hears of a cancellation and gives a sign of life: a long text is cut into tokens by blocks."""

    def __init__(
        self, tokenizer: Tokenizer, report: Callable[[JobState, float], None], cancelled: Callable[[], bool]
    ) -> None:
        self._tokenizer, self._report, self._cancelled = tokenizer, report, cancelled

    def spans(self, text: str) -> list[tuple[int, int]]:
        self._report("parsing", _PARSED)
        _stop_if(self._cancelled)
        return self._tokenizer.spans(text)

    def count(self, texts: Sequence[str]) -> list[int]:
        _stop_if(self._cancelled)
        return self._tokenizer.count(texts)


def _encode(
    texts: list[str],
    encoder: Encoder,
    done: Callable[[float], None],
    cancelled: Callable[[], bool],
    packed: list[Packed] | None = None,
) -> Vectors:
    """In batches; ``done`` is told the share after each. A list ``packed`` is given every text's token vectors."""
    vectors = np.empty((len(texts), encoder.dim), dtype=np.float32)
    for start in range(0, len(texts), _ENCODE_BATCH):
        _stop_if(cancelled)
        batch = texts[start : start + _ENCODE_BATCH]
        if packed is not None and isinstance(encoder, JointEncoder):
            vectors[start : start + len(batch)], tokens = read_both(encoder, batch)
            packed += [pack(of_text) for of_text in tokens]
        else:
            vectors[start : start + len(batch)] = encoder.encode_documents(batch)
        done((start + len(batch)) / len(texts))
    return vectors


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise RunCancelled("cancelled")


def _beating(beat: Callable[[], None], cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """``cancelled`` that also gives a ``beat`` now and then: what takes long shows that it lives, and hears of a
    cancellation."""
    told_at = time.monotonic()

    def ask() -> bool:
        nonlocal told_at
        if time.monotonic() - told_at >= _HEARTBEAT_S:
            told_at = time.monotonic()
            beat()
        return cancelled()

    return ask


def _ticking(beat: Callable[[], None], cancelled: Callable[[], bool]) -> Callable[[], None]:
    """The same for what only wants to be called now and then: RunCancelled ends it."""
    ask = _beating(beat, cancelled)
    return lambda: _stop_if(ask)


class _timed:
    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] = time.perf_counter() - self._begun
