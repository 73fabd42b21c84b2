"""What is compared in an evaluation: ways to search a collection, or to answer from it. Part of the wiring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from app.retrievers import reranker_for
from app.wiring import model_cache_dir
from core.errors import InvalidRequest
from core.protocols import Retriever
from core.types import Chunk, Hit, Principal, StagePart, Where
from eval.spans import DEPTH, FoundSpan
from eval.stress import Stress, stressed
from ingest.chunk.choose import ChunkerName, cut
from ingest.language import LanguageGuesser
from ingest.pipeline import chunk_budget
from retrieval.adhoc import build_adhoc
from retrieval.reading import MAX_PAGE
from retrieval.records import DocumentInfo
from retrieval.rerank.retriever import RerankingRetriever

if TYPE_CHECKING:
    from app.services import Services

# Of answering: from the passages that hold a question's answer, from these among others', or with another answer in them.
Contexts: TypeAlias = Literal["own", "distractors", "counterfactual"]

_CONTEXT_WORDS: Mapping[Contexts, str] = {
    "own": "from its own passages",
    "distractors": "among other passages",
    "counterfactual": "with another answer put in",
}
_WIDER = 5  # children looked at per parent that is wanted
_LOOKED_AT = 40_000  # characters, to tell a collection's language


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One way to search or to answer. ``None`` is as the collection and the settings say.

    ``chunker`` cuts the stored texts anew and indexes them in memory; without one, the collection is searched as it
    is. A ``strategy`` makes it one of answering, which searches as the settings say, whatever else is chosen here.
    """

    retriever: str | None = None
    fusion: Literal["convex", "rrf"] | None = None
    rerank: bool = False
    chunker: ChunkerName | None = None
    strategy: str | None = None
    stress: Stress | None = None  # the questions are asked worse
    # Of answering only: a name of ``lm_choices``, and a set of prompts (``app.prompt_files``).
    model: str | None = None
    prompts: str | None = None
    contexts: Contexts | None = None  # of answering only; None: what is searched for in the collection

    @property
    def kind(self) -> Literal["retrieval", "qa"]:
        return "retrieval" if self.strategy is None else "qa"

    def label(self) -> str:
        """ "bm25", "hybrid rrf, reranked, parent-child", "answers by rag, model large, prompts short"."""
        stress = [f"with {self.stress}" if self.stress == "typos" else "paraphrased"] if self.stress else []
        if self.strategy is not None:
            by = [f"{word} {name}" for word, name in (("model", self.model), ("prompts", self.prompts)) if name]
            by += [_CONTEXT_WORDS[self.contexts]] if self.contexts else []
            return ", ".join([f"answers by {self.strategy}", *by, *stress])
        parts = [" ".join(p for p in (self.retriever or "as set", self.fusion) if p)]
        parts += ["reranked"] if self.rerank else []
        parts += [self.chunker] if self.chunker else []
        return ", ".join(parts + stress)

    def asked(self, question: str) -> str:
        """The question as this configuration asks it."""
        return question if self.stress is None else stressed(question, self.stress)

    def check(self) -> None:
        """Raises InvalidRequest for what does not go together."""
        if self.strategy is not None and any((self.retriever, self.fusion, self.rerank, self.chunker)):
            raise InvalidRequest(
                f"strategy {self.strategy!r} searches as the settings say: leave out retriever, fusion, rerank and "
                "chunker, or leave out the strategy to measure the search alone",
                code="usage",
            )
        if self.strategy is None and (self.model or self.prompts or self.contexts):
            raise InvalidRequest(
                "no language model is asked, and nothing answered, where passages are searched: name the strategy that answers, or leave out model, prompts "
                "and contexts",
                code="usage",
            )
        if self.chunker is not None and self.rerank:
            raise InvalidRequest("reranking needs the collection as it is: leave out chunker or rerank", code="usage")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "label": self.label(), "kind": self.kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is read of a hit, and what each stage of the search said of it."""

    span: FoundSpan
    title: str
    parts: Mapping[str, StagePart]


Find: TypeAlias = Callable[[str], list[Found]]  # a question → what is read, best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher:
    find: Find
    passages: int | None = None  # None: those of the collection as it is
    mean_characters: float | None = None


def all_documents(services: Services, principal: Principal, collection: str) -> list[DocumentInfo]:
    """By doc_id. Raises NotFound."""
    found: list[DocumentInfo] = []
    cursor: str | None = None
    while True:
        page, cursor = services.store.list_documents(principal, collection, MAX_PAGE, cursor)
        found += page
        if cursor is None:
            return sorted(found, key=lambda d: d.doc_id)


def searcher(
    services: Services,
    principal: Principal,
    collection: str,
    configuration: Configuration,
    report: Callable[[int, int], None],
) -> Searcher:
    """What a configuration of searching finds; indexes first where it names a chunker.

    Args:
        report: told (passages encoded, all); what it raises ends the work.
    """
    if configuration.chunker is not None:
        return _cut_anew(services, principal, collection, configuration, configuration.chunker, report)
    base: Retriever = services.engine.retriever(configuration.retriever, fusion=configuration.fusion)
    if configuration.rerank:
        reranker = reranker_for(services, True, configuration.retriever)
        if reranker is not None:
            base = RerankingRetriever(base, reranker, services.settings.rerank_depth)
    where = Where(principal=principal, collections=(collection,))
    return Searcher(find=lambda question: [_read(h) for h in base.search(question, DEPTH, where)])


def _read(hit: Hit) -> Found:
    span = FoundSpan(doc_id=hit.chunk.doc_id, start=hit.chunk.start, end=hit.chunk.end)
    return Found(span=span, title=hit.title, parts=hit.parts)


def _cut_anew(
    services: Services,
    principal: Principal,
    collection: str,
    configuration: Configuration,
    name: ChunkerName,
    report: Callable[[int, int], None],
) -> Searcher:
    """Cuts the stored texts, which do not say where headings were, so that every chunker lacks those alike."""
    settings, encoder = services.settings, services.encoder
    max_tokens, overlap = chunk_budget(settings, encoder)
    passages: list[tuple[str, str, str]] = []
    read: list[tuple[FoundSpan, str]] = []  # in place of each passage
    beginnings: list[str] = []
    for info in all_documents(services, principal, collection):
        document = services.store.get_document(principal, info.doc_id)
        beginnings.append(document.text[:_LOOKED_AT])
        made = cut(
            name,
            document,
            (),
            encoder.tokenizer,
            max_tokens,
            overlap,
            embed=encoder.encode_documents,
            semantic_percentile=settings.semantic_percentile,
        )
        parents: dict[str, Chunk] = {p.chunk_id: p for p in made.parents}
        for chunk in made.chunks:
            whole = parents.get(chunk.parent_id or "", chunk)
            passages.append((str(len(passages)), document.title, chunk.text))
            read.append((FoundSpan(doc_id=chunk.doc_id, start=whole.start, end=whole.end), document.title))
        report(0, 1)
    corpus = build_adhoc(
        settings,
        passages,
        encoder,
        model_cache_dir() / "vectors",
        retriever=configuration.retriever,
        fusion=configuration.fusion,
        language=LanguageGuesser().guess("\n".join(beginnings)[:_LOOKED_AT]),
        report=report,
    )
    where = Where(principal=principal)
    k = min(len(passages), DEPTH * _WIDER)

    def find(question: str) -> list[Found]:
        found: dict[FoundSpan, Found] = {}  # a parent stands where the best of its children does
        for hit in corpus.search(question, k, where):
            span, title = read[int(hit.chunk.doc_id)]
            found.setdefault(span, Found(span=span, title=title, parts=hit.parts))
        return list(found.values())[:DEPTH]

    characters = [span.end - span.start for span, _ in dict.fromkeys(read)]
    mean = sum(characters) / len(characters) if characters else None
    return Searcher(find=find if passages else lambda question: [], passages=len(passages), mean_characters=mean)
