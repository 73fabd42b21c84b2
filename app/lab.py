"""What evaluation measures, put together: retrievers over data sets, and strategies over their contexts. Part of the
wiring."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal

from agents.tools.library import Library, NoLibrary
from app.library import PassageLibrary
from app.people import local_principal
from app.query_sides import query_side
from app.runs import outcome_of
from app.strategies import STRATEGIES, Parts, assemble, check_strategy, run_limits
from app.wiring import (
    LoadableEncoder,
    RerankerName,
    build_encoder,
    build_lm,
    build_queue,
    build_reranker,
    build_verifier,
    model_cache_dir,
)
from core.errors import ModelUnavailable
from core.ids import new_id
from core.offload import Offload
from core.protocols import LanguageModel, Retriever
from core.settings import Settings
from core.token_memory import TokenMemory
from core.types import Answer, Hit, Sample, Trace, Where
from eval.datasets import Corpus
from eval.qa import AnswerOne, OwnContexts, Pooled
from eval.retrieval import Build
from ingest.language import LanguageGuesser
from retrieval.adhoc import AdhocRetriever, build_adhoc, over
from retrieval.corpus_indexes import CorpusIndexes
from retrieval.encoders.remembering import RememberingEncoder
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.sparse_kinds import SparseName

VECTOR_CACHE = "vectors"
_LOOKED_AT = 200  # passages, and characters of each, to tell a corpus's language


def adhoc_retriever_factory(
    retriever: str,
    sparse: SparseName,
    dense: Literal["auto", "exact", "hnsw"],
    fusion: Literal["convex", "rrf"],
    reranker: RerankerName = "none",
    shared: SharedCorpus | None = None,
) -> Build:
    """A function that indexes a corpus in memory; its vectors are kept for the next run. It is taken to be in one language,
    that of its beginning.

    Args:
        shared: what retrievers that are measured side by side have in common; by default each has its own.
    """
    reads = reranker in ("late", "mix")
    common = shared or SharedCorpus()
    common.tokens |= reads or retriever == "late"

    def build(settings: Settings, corpus: Corpus) -> Retriever:
        encoder = common.encoder(settings)
        # First, so that a reranker that there is not is said before a corpus is encoded.
        corpora: list[AdhocRetriever] = []
        chosen = build_reranker(settings, reranker, encoder, lambda by, hits: corpora[0].kept_tokens(by, hits))
        if chosen is not None:
            chosen.load()
        indexes = common.indexes(settings, corpus)
        found = over(indexes, retriever=retriever, sparse=sparse, dense=dense, fusion=fusion, tokens=reads)
        corpora.append(found)
        return found if chosen is None else RerankingRetriever(found, chosen, settings.rerank_depth)

    return build


class SharedCorpus:
    """One encoder and the indexes of one corpus for all that is measured on it: a question is encoded once, and what an
    index found for it is found once. Nothing is made before it is asked for."""

    def __init__(self) -> None:
        self.tokens = False  # whether anybody will want token vectors
        self._settings = ""
        self._corpus: Corpus | None = None
        self._encoder: LoadableEncoder | None = None
        self._indexes: CorpusIndexes | None = None

    def encoder(self, settings: Settings) -> LoadableEncoder:
        """The encoder of these settings; of other settings than before, another one."""
        if self._encoder is None or self._settings != settings.digest():
            self._settings, self._encoder, self._indexes = settings.digest(), build_encoder(settings), None
        return self._encoder

    def indexes(self, settings: Settings, corpus: Corpus) -> CorpusIndexes:
        """The indexes of this corpus; those of another one are given up."""
        encoder = self.encoder(settings)
        if self._indexes is None or self._corpus is not corpus:
            beginning = "\n".join(d.text[:_LOOKED_AT] for d in islice(corpus, _LOOKED_AT))
            self._corpus, self._indexes = corpus, None  # the old ones go before the new ones come
            self._indexes = CorpusIndexes(
                settings,
                ((d.doc_id, d.title, d.text) for d in corpus),
                encoder,
                model_cache_dir() / VECTOR_CACHE,
                language=LanguageGuesser().guess(beginning),
                tokens=self.tokens,
            )
        return self._indexes

    def forget(self) -> None:
        """Takes the next question as if none had been asked before, so that it can be timed."""
        if isinstance(self._encoder, RememberingEncoder):
            self._encoder.forget()
        if self._indexes is not None:
            self._indexes.forget()


def qa_answerer(
    settings: Settings,
    strategy: str,
    mode: OwnContexts | Pooled,
    samples: Sequence[Sample],
    offload: Offload,
    *,
    lm: LanguageModel | None = None,
) -> AnswerOne:
    """A function that answers one question of a data set. Call it within the event loop that will use it.

    All contexts are indexed together; a question that reads only its own is filtered to them, so the statistics of its
    terms are those of the whole data set.

    Args:
        lm: the language model, loaded, where several strategies share one; None is that of the settings, loaded here.

    Raises:
        InvalidRequest: an unknown strategy.
        ModelUnavailable: it needs a language model, and settings want none or it cannot be loaded.
    """
    check_strategy(strategy)
    side = query_side(settings, writes=STRATEGIES[strategy].needs_lm)
    asks = STRATEGIES[strategy].needs_lm or side.needs_lm(history=False)
    if asks and lm is None:
        own = build_lm(settings)
        if own is None:
            raise ModelUnavailable(
                f"strategy {strategy!r}, hyde or decompose needs a language model, and lm_runtime is none"
            )
        own.load()
        lm = own
    ids: dict[tuple[str, str], str] = {}
    for sample in samples:
        for context in sample.contexts:
            ids.setdefault(context, f"context-{len(ids)}")
    encoder = build_encoder(settings)
    passages = ((doc_id, title, text) for (title, text), doc_id in ids.items())
    reads = settings.reranker in ("late", "mix")
    corpus = build_adhoc(settings, passages, encoder, model_cache_dir() / VECTOR_CACHE, tokens=reads) if ids else None
    retriever: Retriever = corpus or _Nothing()
    library: Library = NoLibrary() if corpus is None else PassageLibrary(corpus.chunks, corpus.titles, corpus.name)
    reranker = build_reranker(settings, settings.reranker, encoder, None if corpus is None else corpus.kept_tokens)
    if reranker is not None:
        reranker.load()
        retriever = RerankingRetriever(retriever, reranker, settings.rerank_depth)
    made = assemble(
        strategy,
        Parts(
            settings=settings,
            retriever=retriever,
            encoder=TokenMemory(encoder),
            lm=build_queue(settings, lm) if asks and lm is not None else None,
            verifier=build_verifier(settings, encoder),
            offload=offload,
            index_version=lambda: "data set",
            library=library,
        ),
    )
    limits = run_limits(settings, strategy, side.tokens)

    async def answer(sample: Sample) -> tuple[Answer, Trace]:
        own = isinstance(mode, OwnContexts) and bool(sample.contexts)
        filters = {"doc_id": tuple(ids[c] for c in sample.contexts)} if own else {}
        where = Where(principal=local_principal(), filters=filters)
        run = made.run(sample.question, history=(), limits=limits, where=where, run_id=new_id("r"))
        done = await outcome_of(run)
        return done.answer, done.trace

    return answer


class _Nothing:
    """The retriever of a data set without contexts (closed-book)."""

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        del query, k, where
        return []
