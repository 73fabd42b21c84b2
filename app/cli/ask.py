"""``openbook ask``."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from app.cli.answer_text import QUOTED, sentence_line
from app.cli.common import READY_TIMEOUT_S, AsJson, Collection, DataDir, connected, print_json, settings_of
from app.cli.runs import telling
from app.cli.search import DecomposeOption, HydeOption, asks_lm
from core.wording import shortened


class StrategyChoice(enum.StrEnum):
    extract = "extract"
    rag = "rag"
    full_context = "full-context"
    closed_book = "closed-book"
    cot = "cot"
    self_consistency = "self-consistency"
    self_rag = "self-rag"
    multihop = "multihop"
    react = "react"
    reflexion = "reflexion"
    tot = "tot"
    research = "research"
    auto = "auto"


class PolicyChoice(enum.StrEnum):
    mark = "mark"
    repair = "repair"
    strict = "strict"


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    collection: Collection,
    strategy: Annotated[StrategyChoice | None, typer.Option("--strategy", "-s", help="How the answer is made.")] = None,
    policy: Annotated[
        PolicyChoice | None,
        typer.Option(
            "--policy", help="A written sentence that is not supported is marked, repaired, or left out (strict)."
        ),
    ] = None,
    hyde: HydeOption = None,
    decompose: DecomposeOption = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Ask a question; each sentence of the answer is checked against the passage it cites.

    Example: openbook ask "How much did net sales grow?" --collection filings
    """
    writes = (strategy or settings_of(data_dir).strategy) != StrategyChoice.extract
    needs_lm = writes or asks_lm(data_dir, hyde, decompose)
    may_wait = bool(settings_of(data_dir).mcp_servers)  # for a yes, which another command may give
    with connected(data_dir, lm=needs_lm, announce=may_wait) as client, telling(client, wanted=may_wait):
        if needs_lm:
            from app.waiting import wait_for_lm

            wait_for_lm(client, READY_TIMEOUT_S)
        chosen = strategy.value if strategy else None
        answer: dict[str, Any] = dict(
            client.ask(
                question,
                [collection],
                strategy=chosen,
                hyde=hyde,
                decompose=decompose,
                answer_policy=policy.value if policy else None,
            )
        )
    if as_json:
        print_json(answer)
        return
    print(answer["answer"])
    if answer["reason"]:
        print(f"\n({answer['reason']})")
    for conflict in answer["conflicts"]:
        print(f"\n{conflict['text']}")
    if answer["sentences"] and not answer["abstained"]:
        print()
        for sentence in answer["sentences"]:
            print(sentence_line(sentence))
    if answer["citations"]:
        print()
        for citation in answer["citations"]:
            page = f", page {citation['page']}" if citation["page"] else ""
            print(f"  [{citation['n']}] {citation['title']}{page}: “{shortened(citation['quote'], QUOTED)}”")
