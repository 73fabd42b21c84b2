"""What a result of an evaluation is named by: all that it follows from, so that nothing is measured twice and nothing stale is taken
for new. Part of the wiring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from agents.prompts import Prompts, prompt_names
from app.eval_configs import Configuration, all_documents
from app.eval_runs import questions_sha256
from app.eval_sets import EvalSet, KeptQuestion
from app.lm_choices import choice_facts, chosen_settings
from app.prompt_files import prompts_named, prompts_of
from app.strategies import without_lm
from core.types import Principal
from retrieval.fusion_weights import kept_weights

if TYPE_CHECKING:
    from app.services import Services

VERSION = 4  # of how results are measured: a change makes old ones unequal
_ALWAYS_NAMED = frozenset({"retriever", "fusion", "chunker", "strategy", "stress"})


def result_key(
    services: Services,
    principal: Principal,
    collection: str,
    configuration: Configuration,
    questions: Sequence[KeptQuestion],
) -> str:
    """Names what a configuration finds: it follows from the documents, their pipeline, the settings and the choice; of
    answering also from the text of the prompts and, where one is named, the language model.

    Args:
        questions: all that are asked. A result holds rows of whichever were, and does not follow from them, unless what one of them
            is answered from is taken from the others.

    Raises:
        NotFound: no such collection for this person.
        InvalidRequest: a model or a set of prompts that is no longer there, or a prompt that cannot be used.
    """
    with services.database.read() as connection:
        collection_id = services.store.readable_collections(principal, [collection])[collection]
        weights = kept_weights(connection, collection_id)
    documents = all_documents(services, principal, collection)
    calibrations = services.calibrations.get(principal, collection) if configuration.kind == "qa" else []
    settings = services.settings
    if configuration.model is not None and "judge" not in (settings.verifier, settings.verifier_model):
        settings = chosen_settings(settings, configuration.model)  # the server's own model has no part in it
    facts = {
        "version": VERSION,
        "collection": collection_id,
        "documents": [[d.doc_id, d.sha256, d.characters, d.chunker_version, d.encoder_revision] for d in documents],
        "weights": weights.to_json() if weights else None,
        "thresholds": [[c["strategy"], c["threshold"]] for c in calibrations],
        "settings": settings.digest(),
        "encoder": services.encoder.revision,
        # What is not chosen is left out, so that a new kind of choice leaves older results what they are.
        "configuration": {k: v for k, v in asdict(configuration).items() if v is not None or k in _ALWAYS_NAMED},
    }
    if configuration.strategy is not None and configuration.strategy not in without_lm(services.settings):
        facts["prompts"] = prompts_for(services, collection, configuration).hash(*prompt_names())
    if configuration.contexts in ("distractors", "counterfactual"):
        facts["questions"] = questions_sha256(questions)
    if configuration.model is not None:
        facts["model"] = choice_facts(services.settings, configuration.model)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def not_stale(
    services: Services, principal: Principal, of: EvalSet, questions: Sequence[KeptQuestion]
) -> list[KeptQuestion]:
    """Without those whose document is gone, or has another text by now, in which their span means nothing."""
    now = {d.doc_id: d.sha256 for d in all_documents(services, principal, of.collection)}
    return [q for q in questions if all(g.doc_id in now and g.sha256 in ("", now[g.doc_id]) for g in q.gold)]


def prompts_for(services: Services, collection: str, configuration: Configuration) -> Prompts:
    """What a configuration of answering tells the language model. Raises InvalidRequest as ``app.prompt_files``."""
    if configuration.prompts is None:
        return prompts_of(services.settings.data_dir, [collection])
    return prompts_named(services.settings.data_dir, configuration.prompts)
