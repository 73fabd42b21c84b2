"""Questions of somebody's own table, tied to the documents of a collection. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.eval_configs import all_documents
from core.text import fold
from core.types import Principal
from eval.mapped import TableOfQuestions, mapped_questions
from eval.questions import Gold, MadeQuestion
from eval.quoted import only_place
from retrieval.records import DocumentInfo

if TYPE_CHECKING:
    from app.services import Services

_SHOWN = 3  # of the documents that a name fits


def imported_questions(
    services: Services,
    principal: Principal,
    collection: str,
    table: TableOfQuestions,
    mapping: Mapping[str, str | None],
) -> tuple[list[MadeQuestion], list[str]]:
    """Questions of a table, tied to the collection's documents, and what was wrong with the rows left out.

    A document is named by its id, its uri, its file's name or its title, or, where that names none, by a part of those that
    only one has. Where an answer stands in its text word for word, once (``eval.quoted``), that is its span; else the whole
    document is.
    """
    infos = all_documents(services, principal, collection)
    texts: dict[str, str] = {}

    def named(name: str) -> list[DocumentInfo]:
        wanted = fold(name).strip("*").strip()
        if not wanted:
            return []
        exact = [i for i in infos if wanted in _names(i)]
        return exact or [i for i in infos if any(wanted in known for known in _names(i))]

    def gold_of(name: str, answers: Sequence[str]) -> Gold | str:
        found = named(name)
        if not found:
            return f"no document of the collection is called {name!r}"
        if len(found) > 1:
            some = ", ".join(i.title for i in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
            return f"{len(found):,} documents match {name!r} ({some}): name one of them"
        (info,) = found
        if info.doc_id not in texts:
            texts[info.doc_id] = services.store.get_document(principal, info.doc_id).text
        places = (only_place(texts[info.doc_id], answer) for answer in answers)
        start, end = next((place for place in places if place is not None), (0, 0))
        return Gold(doc_id=info.doc_id, title=info.title, start=start, end=end, sha256=info.sha256)

    return mapped_questions(table, mapping, gold_of)


def _names(info: DocumentInfo) -> set[str]:
    file = info.uri.rsplit("/", 1)[-1]
    return {fold(n) for n in (info.doc_id, info.uri, file, file.rsplit(".", 1)[0], info.title) if n}
