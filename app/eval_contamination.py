"""Whether the questions of a set stand in the collection that they are asked of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from app.eval_configs import all_documents
from core.types import Principal
from eval.contamination import contamination

if TYPE_CHECKING:
    from app.services import Services


def contamination_of_set(services: Services, principal: Principal, set_id: str) -> dict[str, Any]:
    """Raises NotFound for a set that this person does not have."""
    of = services.eval_sets.get(principal, set_id)
    questions = {q.question_id: q.question for q in services.eval_sets.questions(principal, set_id)}

    def texts() -> Iterator[tuple[str, str]]:
        for info in all_documents(services, principal, of.collection):
            yield info.title or info.doc_id, services.store.get_document(principal, info.doc_id).text

    return contamination(questions, {of.collection: texts()}).to_json()
