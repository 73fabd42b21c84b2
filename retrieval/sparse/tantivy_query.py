"""The fields of the tantivy index, and what is asked of them. Knows neither files nor who may see what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import tantivy

from retrieval.sparse.analyse import VERSION
from retrieval.sparse.bm25_reference import lucene_idf
from retrieval.sparse.languages import KEYS
from retrieval.sparse.quoted import Asked, Phrase, name_of

# The version is in the name, so that an index of other terms does not open.
TERMS = f"terms_{VERSION}"
WORDS = f"words_{VERSION}"
# The number of a language's key, alone and with collection_id · KEY_ROOM before it: which languages there are, and where.
LANGUAGE = "language"
KEY_ROOM = 64
_K1 = 1.2  # tantivy's own, as is b = 0.75


def schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # Integers, not unsigned: tantivy-py turns a Python int into a signed value, which kills the writer of a u64 field.
    builder.add_integer_field("row", indexed=True, fast=True)
    builder.add_integer_field("collection", indexed=True)
    builder.add_integer_field(LANGUAGE, indexed=True)
    builder.add_text_field(TERMS, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field(WORDS, tokenizer_name="whitespace", index_option="position")
    return builder.build()


def scored(searcher: tantivy.Searcher, schema: tantivy.Schema, terms: Sequence[str], asked: Asked) -> tantivy.Query:
    """Passages with any of the terms, scored, and what else is asked for.

    Required phrases score only where there is no term to do so. A wish is worth the most that the terms can give, times its
    weight.
    """
    counted = Counter(terms)
    clauses = [(tantivy.Occur.Should, _term(schema, term, count)) for term, count in counted.items()]
    if asked.required:
        for wish in required(schema, asked):
            found = tantivy.Query.const_score_query(wish.query, 0.0 if terms else wish.weight)
            clauses.append((tantivy.Occur.Must, found))
    else:
        worth = most(searcher, terms) if asked.first else 0.0
        clauses += [
            (tantivy.Occur.Should, tantivy.Query.const_score_query(wish.query, wish.weight * worth))
            for wish in wishes(schema, asked)
        ]
    return tantivy.Query.boolean_query(clauses)


@dataclass(frozen=True, slots=True)
class Wish:
    """Passages that ``query`` finds come first; ``weight`` is in units of ``most``."""

    name: str
    query: tantivy.Query
    weight: float


def wishes(schema: tantivy.Schema, asked: Asked) -> list[Wish]:
    """What passages that come first have."""
    phrases = [Wish(name_of(phrase), phrase_query(schema, phrase), weight) for phrase, weight in asked.wishes]
    return phrases + [Wish(name_of((term,)), _term(schema, term, 1), 1.0) for term in asked.literal]


def required(schema: tantivy.Schema, asked: Asked) -> list[Wish]:
    """What all passages have that are found, and what each is worth of itself where there is no term to score by."""
    return [Wish(name_of(phrase), phrase_query(schema, phrase), 1.0) for phrase in asked.required]


def had(schema: tantivy.Schema, any_of: Sequence[Wish], rows: Sequence[int]) -> tantivy.Query:
    """Those of ``rows`` with any of the wishes; the score is the sum of their weights."""
    found = [(tantivy.Occur.Should, tantivy.Query.const_score_query(w.query, w.weight)) for w in any_of]
    these = tantivy.Query.const_score_query(tantivy.Query.term_set_query(schema, "row", list(rows)), 0.0)
    both = [(tantivy.Occur.Must, tantivy.Query.boolean_query(found)), (tantivy.Occur.Must, these)]
    return tantivy.Query.boolean_query(both)


def most(searcher: tantivy.Searcher, terms: Sequence[str]) -> float:
    """More than a passage can get for all the terms together: what a wish of weight 1 is worth.

    "R&D" and "to be" have no terms, and what has them whole is found all the same.
    """
    # As in tantivy's BM25 and in ``doc_freq``, removed passages count until they are merged away; ``num_docs`` leaves them out from
    # the next commit on, so that the same query would have other scores after a restart. Every passage has one language.
    total = sum(int(searcher.doc_freq(LANGUAGE, key)) for key in range(len(KEYS)))
    return sum(count * _most(searcher, total, term) for term, count in Counter(terms).items()) or 1.0


def phrase_query(schema: tantivy.Schema, phrase: Phrase) -> tantivy.Query:
    """Passages that have these words next to each other."""
    if len(phrase) == 1:
        return tantivy.Query.term_query(schema, WORDS, phrase[0], index_option="basic")
    return tantivy.Query.phrase_query(schema, WORDS, list(phrase))


def _term(schema: tantivy.Schema, term: str, count: int) -> tantivy.Query:
    query = tantivy.Query.term_query(schema, TERMS, term, index_option="freq")
    return query if count == 1 else tantivy.Query.boost_query(query, float(count))


def _most(searcher: tantivy.Searcher, total: int, term: str) -> float:
    """What a passage can get for a term at most: its idf times k1 + 1."""
    return (_K1 + 1) * lucene_idf(total, min(total, int(searcher.doc_freq(TERMS, term))))
