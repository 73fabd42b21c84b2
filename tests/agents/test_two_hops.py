"""Two-hop questions over a real BM25 index: a model that reasons correctly reaches both passages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agents.desk import AtDesk
from agents.multihop import multihop
from agents.react import react
from app.library import PassageLibrary
from core.events import RunDone
from core.offload import Offload
from core.settings import Settings
from core.types import Limits, Message
from lm.scripted import Reply, ScriptedLM
from retrieval.adhoc import build_adhoc
from tests.contract.strategy_suite import collect
from tests.support.hash_encoder import HashEncoder
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever

PEOPLE = ("Ada Brandt", "Ivo Keller", "Mira Roth", "Tom Varga", "Lena Hartig", "Otto Fink", "Rosa Lind", "Paul Esser")
TOWNS = ("Aldersee", "Brunn", "Calder", "Dornfeld", "Eschbach", "Falken", "Grünau", "Hallstein")
BRIDGES = (
    "Nordbridge",
    "Weir bridge",
    "Stone bridge",
    "Iron bridge",
    "Mill bridge",
    "Chain bridge",
    "Long bridge",
    "Old bridge",
)
CORPUS = [
    *((f"bridge-{i}", b, f"The {b} was designed by {p} and opened in {1900 + i}.") for i, (b, p) in enumerate(zip(BRIDGES, PEOPLE, strict=True))),
    *((f"person-{i}", p, f"{p} was born in {t} and studied there.") for i, (p, t) in enumerate(zip(PEOPLE, TOWNS, strict=True))),
    *((f"noise-{i}", f"Report {i}", f"Report {i} counts the boats of the harbour in week {i}.") for i in range(300)),
]  # fmt: skip


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(2)
    yield pool
    pool.close()


def thinks(messages: Sequence[Message]) -> Reply:
    """Reads the passages that it was given, and nothing else."""
    prompt = messages[-1].content
    asked = re.findall(r"(?:^|\n)(?:Q|Question): In which town was the designer of the (.+?) born\?", prompt)[-1]
    designer = re.search(rf"The {asked} was designed by (\w+ \w+)", prompt)
    town = designer and re.search(rf"{designer[1]} was born in (\w+)", prompt)
    if "Thought " in prompt:
        i = prompt.rsplit("Thought ", 1)[1].removesuffix(":")
        if town:
            return Reply(text=f"It is {town[1]}.\nAction {i}: finish[{town[1]}]")
        query = f"{designer[1]} born" if designer else f"designer of the {asked}"
        return Reply(text=f"I look for {query}.\nAction {i}: search[{query}]")
    if "one sentence after the other" in prompt:
        if town:
            return Reply(text=f"So the answer is {town[1]}.")
        return Reply(text=f"The {asked} was designed by {designer[1] if designer else 'somebody'}.")
    return Reply(text=f"{designer[1]} was born in {town[1]}." if designer and town else "I don't know.")


@pytest.mark.parametrize("make", [react, multihop], ids=["react", "multihop"])
def test_both_passages_are_reached(make: object, offload: Offload, tmp_path: Path) -> None:
    index = build_adhoc(Settings(), CORPUS, HashEncoder(), tmp_path, retriever="bm25")
    lm = ScriptedLM(thinks, context_tokens=32_000)
    kit = kit_of(PassageRetriever([]), lm, offload)
    library = PassageLibrary(index.chunks, index.titles, index.name)
    kit = replace(kit, retriever=index, library=library, k=4)
    for i, bridge in enumerate(BRIDGES):
        strategy: AtDesk = make(kit)  # type: ignore[operator]
        limits = Limits(max_steps=40, max_tokens=20_000)
        events = asyncio.run(collect(strategy, f"In which town was the designer of the {bridge} born?", limits=limits))
        done = events[-1]
        assert isinstance(done, RunDone)
        assert TOWNS[i] in done.answer.text
        assert {f"bridge-{i}", f"person-{i}"} <= {h.chunk.doc_id for h in done.answer.hits}
        assert any(c.doc_id == f"person-{i}" for c in done.answer.citations)
