"""Any sequence of operations leaves store and engine where a dictionary would be, in every retriever and after a restart."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.errors import Conflict, NotFound
from core.ids import document_id
from core.types import Principal
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, make_document, open_library

OTHER = Principal(user_id="other")
ENCODER = HashEncoder(8)

names = st.sampled_from(["a", "b"])
uris = st.sampled_from(["x", "y", "z"])
texts = st.lists(st.sampled_from(["red", "green", "blue", "round", "square"]), min_size=1, max_size=12).map(" ".join)


class StoreAndEngine(RuleBasedStateMachine):
    """The model: {collection: (owner, {uri: text})}, and what the engine was told of."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="openbook-stateful-"))
        self.lib = open_library(self.folder, ENCODER)
        self.model: dict[str, tuple[Principal, dict[str, str]]] = {}

    def teardown(self):
        self.lib.close()
        shutil.rmtree(self.folder)

    @rule(name=names, owner=st.sampled_from([LOCAL, OTHER]))
    def create(self, name, owner):
        if name in self.model:
            try:
                self.lib.create(name, owner.user_id)
            except Conflict:
                return
            raise AssertionError("a name was given twice")
        self.lib.create(name, owner.user_id)
        self.model[name] = (owner, {})

    @precondition(lambda self: self.model)
    @rule(data=st.data(), uri=uris, text=texts)
    def put(self, data, uri, text):
        name = data.draw(st.sampled_from(sorted(self.model)))
        same = self.model[name][1].get(uri) == text
        change = self.lib.put(name, uri, text, words_per_chunk=4)
        assert change.is_noop == same
        self.model[name][1][uri] = text

    @precondition(lambda self: self.model)
    @rule(data=st.data(), uri=uris, text=texts)
    def begin_to_put_and_fail(self, data, uri, text):
        name = data.draw(st.sampled_from(sorted(self.model)))
        document, chunks = make_document(name, uri, text, words_per_chunk=4)
        vectors = ENCODER.encode_documents([c.text for c in chunks])
        try:
            with self.lib.database.write() as connection:
                self.lib.store.put_document(connection, document, chunks, vectors, ENCODER.revision, "other")
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass

    @precondition(lambda self: self.model)
    @rule(data=st.data(), uri=uris, who=st.sampled_from([LOCAL, OTHER]))
    def delete(self, data, uri, who):
        name = data.draw(st.sampled_from(sorted(self.model)))
        owner, documents = self.model[name]
        try:
            self.lib.delete(name, uri, who)
        except NotFound:
            assert who != owner or uri not in documents
            return
        assert who == owner
        del documents[uri]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def drop(self, data):
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.lib.drop(name, self.model.pop(name)[0])

    @rule(damage=st.booleans())
    def restart(self, damage):
        self.lib.close()
        if damage:
            shutil.rmtree(self.folder / "indexes", ignore_errors=True)
        self.lib = open_library(self.folder, ENCODER)

    @invariant()
    def every_retriever_sees_exactly_the_model(self):
        for who in (LOCAL, OTHER):
            mine = {n: docs for n, (owner, docs) in self.model.items() if owner == who}
            expected = {
                (document_id(name, uri), chunk.start): chunk.text
                for name, documents in mine.items()
                for uri, text in documents.items()
                for chunk in make_document(name, uri, text, words_per_chunk=4)[1]
            }
            dense = self.lib.search("red", 100, retriever="dense", principal=who)
            assert {(h.chunk.doc_id, h.chunk.start): h.chunk.text for h in dense} == expected
            query = ENCODER.encode_queries(["red"])[0]
            cosines = [float(ENCODER.encode_documents([h.chunk.text])[0] @ query) for h in dense]
            assert np.allclose([h.score for h in dense], cosines, atol=1e-6)
            red = {key for key, text in expected.items() if "red" in text.split()}
            sparse = self.lib.search("red", 100, retriever="bm25", principal=who)
            assert {(h.chunk.doc_id, h.chunk.start) for h in sparse} == red
            for hit in self.lib.search("red", 100, principal=who):
                assert ("bm25" in hit.parts) == ((hit.chunk.doc_id, hit.chunk.start) in red)
                assert "dense" in hit.parts

    @invariant()
    def the_store_lists_exactly_the_model(self):
        for who in (LOCAL, OTHER):
            mine = {n: docs for n, (owner, docs) in self.model.items() if owner == who}
            assert {c.name: c.documents for c in self.lib.store.list_collections(who)} == {
                name: len(documents) for name, documents in mine.items()
            }
            for name, documents in mine.items():
                listed, _ = self.lib.store.list_documents(who, name)
                assert {d.uri for d in listed} == set(documents)
                for d in listed:
                    assert self.lib.store.get_document(who, d.doc_id).text == documents[d.uri]


TestStoreAndEngine = StoreAndEngine.TestCase
TestStoreAndEngine.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
