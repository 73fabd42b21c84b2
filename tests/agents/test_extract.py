"""Answers by quoting: what is said is stored text, byte for byte, or "I don't know"."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from agents.calibration import load_extract_calibration, shipped_text
from agents.candidates import affordable, candidates, regions
from agents.extract import ExtractStrategy
from agents.followup import standalone_by_rule
from agents.scoring import ANSWER_FEATURES, SENTENCE_FEATURES, Reading
from agents.verify import RuleVerifier
from core.errors import InvalidRequest
from core.events import RunDone, StepTaken
from core.offload import Offload
from core.protocols import Encoder, Strategy
from core.reach import REACHES, Reach
from core.types import Message
from tests.contract.strategy_suite import ORCHARD, UNANSWERABLE, StrategySuite, answer_of, collect
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText


def extract(library: PassageRetriever, encoder: Encoder, offload: Offload, **options: float) -> ExtractStrategy:
    return ExtractStrategy(
        retriever=library,
        encoder=encoder,
        verifier=RuleVerifier(),
        offload=offload,
        **options,  # type: ignore[arg-type]
    )


class TestExtractStrategy(StrategySuite):
    @pytest.fixture
    def strategy(self, library: PassageRetriever, encoder: Encoder, offload: Offload) -> Strategy:
        return extract(library, encoder, offload)


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Who planted the orchard?", "Maria Keller"),
        ("How many apple trees does the orchard have?", "412"),
        ("How tall is the lighthouse of Port Ellis?", "31 metres"),
        ("When did the keeper of the lighthouse retire?", "2003"),
    ],
)
def test_the_sentence_that_answers_is_quoted_first(
    question: str, quoted: str, library: PassageRetriever, encoder: Encoder, offload: Offload
) -> None:
    answer = answer_of(asyncio.run(collect(extract(library, encoder, offload), question)))
    assert quoted in answer.sentences[0].text
    assert answer.sentences[0].verdict == "supported"


def test_sentence_and_quote_are_the_stored_text_and_the_marker_stands_behind(
    library: PassageRetriever, encoder: Encoder, offload: Offload
) -> None:
    answer = answer_of(asyncio.run(collect(extract(library, encoder, offload), "Who planted the orchard?")))
    for sentence, citation in zip(answer.sentences, answer.citations, strict=True):
        assert sentence.text == citation.quote == library.stored(citation.doc_id, citation.start, citation.end)
        assert answer.text[sentence.end :].startswith(f" [{citation.marker}]")
        assert (citation.answer_start, citation.answer_end) == (sentence.start, sentence.end)


def test_what_nobody_wrote_is_not_known_and_the_nearest_is_named(
    library: PassageRetriever, encoder: Encoder, offload: Offload
) -> None:
    question = "Which orchestra played at Port Ellis when the ninth symphony was premiered?"
    events = asyncio.run(collect(extract(library, encoder, offload), question))
    answer = answer_of(events)
    assert answer.abstained
    assert answer.text == "I don't know."
    assert answer.citations == ()
    assert question in answer.reason
    assert "“Harbour notes”" in answer.reason
    assert isinstance(events[-1], RunDone)
    assert events[-1].trace.stop_reason == "abstained"


def test_nothing_found_is_said(library: PassageRetriever, encoder: Encoder, offload: Offload) -> None:
    empty = extract(PassageRetriever([]), encoder, offload)
    answer = answer_of(asyncio.run(collect(empty, UNANSWERABLE)))
    assert answer.abstained
    assert "no passage" in answer.reason


def test_the_threshold_decides(library: PassageRetriever, encoder: Encoder, offload: Offload) -> None:
    def abstains(threshold: float) -> bool:
        run = collect(extract(library, encoder, offload, threshold=threshold), "Who planted the orchard?")
        return answer_of(asyncio.run(run)).abstained

    assert not abstains(0.0)
    assert abstains(1.0)


def test_a_sentence_cut_by_two_passages_is_quoted_whole(encoder: Encoder, offload: Offload) -> None:
    cut = ORCHARD.text.index("apple")
    halves = StoredText(doc_id="d-cut", title="Cut", text=ORCHARD.text, cuts=((0, cut), (cut, len(ORCHARD.text))))
    library = PassageRetriever([halves])
    question = "How many apple trees on nine hectares does the orchard have?"
    answer = answer_of(asyncio.run(collect(extract(library, encoder, offload), question)))
    assert answer.citations[0].quote == "It has 412 apple trees on nine hectares."


def test_a_follow_up_is_searched_with_what_it_leans_on(
    library: PassageRetriever, encoder: Encoder, offload: Offload
) -> None:
    history = [Message(role="user", content="Who planted the orchard?")]
    events = asyncio.run(collect(extract(library, encoder, offload), "And how many trees has it?", history=history))
    assert library.queries == ["And how many trees has it? (planted orchard)"]
    assert any("follow-up" in e.step.thought for e in events if isinstance(e, StepTaken))
    assert standalone_by_rule("How tall is the lighthouse of Port Ellis?", history) == (
        "How tall is the lighthouse of Port Ellis?"
    )


def test_regions_join_what_touches_and_slice_back() -> None:
    overlapping = StoredText(doc_id="d", title="t", text=ORCHARD.text, cuts=((0, 60), (40, 100), (120, 180)))
    hits = PassageRetriever([overlapping]).search(
        "orchard apple trees nine hectares harvest tonnes cider press brandt", 8, EVERYTHING
    )
    found = regions(hits)
    assert {(r.start, r.start + len(r.text)) for r in found} == {(0, 100), (120, 180)}
    for region in found:
        assert region.text == ORCHARD.text[region.start : region.start + len(region.text)]
        for c in candidates([region]):
            assert region.text[c.start : c.end] == c.text


FRANCE = StoredText(
    doc_id="d-france",
    title="Offices of state",
    text="# Prime Minister of France\n\n**Who is the Prime Minister of France?**\nOffices of state\n\nJean Castex has led "
    "the government since 2020. The residence is a palace in Paris.",
)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_heading_a_title_and_a_question_are_read_and_never_quoted(
    threshold: float, encoder: Encoder, offload: Offload
) -> None:
    strategy = extract(PassageRetriever([FRANCE]), encoder, offload, threshold=threshold)
    answer = answer_of(asyncio.run(collect(strategy, "Who is the Prime Minister of France?")))
    assert answer.abstained == (threshold == 1.0)
    said = answer.reason.partition(": “")[2].partition("”")[0] if answer.abstained else answer.text
    assert "Castex" in said or "palace" in said
    assert "Prime Minister of France" not in said
    assert "Offices of state" not in said


def test_where_there_are_headings_alone_there_is_nothing_to_quote(encoder: Encoder, offload: Offload) -> None:
    bare = StoredText(doc_id="d", title="Bridges", text="# Bridges of Alby\n\n## Who built the bridge of Alby?")
    strategy = extract(PassageRetriever([bare]), encoder, offload, threshold=0.0)
    answer = answer_of(asyncio.run(collect(strategy, "Who built the bridge of Alby?")))
    assert answer.abstained
    assert "No passage has a sentence to quote." in answer.reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# Prime Minister of France", False),
        ("# The cache is emptied every 30 days.", True),  # a comment of a program, say
        ("**Can I return goods?**", False),
        ("“Can I return goods?”", False),
        ("Wer zahlt den Versand？", False),
        ("Harbour notes", False),  # the title
        ("__HARBOUR notes__", False),
        ("*Orders*", False),  # a heading that it stands under
        ("His last words were “Why me?”", True),
        ("You may return unused goods within 30 days.", True),
        ("#1 of the charts was a waltz.", True),
        ("Orders above 40 euros are free.", True),
    ],
)
def test_what_states_something(text: str, says: bool) -> None:
    (hit,) = PassageRetriever([StoredText(doc_id="d", title="Harbour notes", text=text)]).search(text, 1, EVERYTHING)
    hit = replace(hit, chunk=replace(hit.chunk, heading_path=("Orders",)))
    assert [c.says for c in candidates(regions([hit]))] == [says]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("You may return unused goods within 30 days.", True),
        ("**The deposit is 500 euros.**", True),
        ("Orders of goods that were used", False),
        ("Annual report 2024 of Alby Inc.", False),
        ("All orders.", False),
    ],
)
def test_a_heading_that_is_a_whole_sentence_states_something(head: str, says: bool) -> None:
    stored = StoredText(doc_id="d", title=head.strip("*"), text=f"# {head}\n\n{head}")
    (hit,) = PassageRetriever([stored]).search(head, 1, EVERYTHING)
    hit = replace(hit, chunk=replace(hit.chunk, heading_path=(head.strip("*"),)))
    assert [c.says for c in candidates(regions([hit]))] == [says, says]


def test_of_a_passage_of_several_paragraphs_the_one_that_speaks_of_the_question_is_nearest(encoder: Encoder) -> None:
    asked = "How many apple trees does the orchard have?"
    text = f"Invoices are paid within 14 days. Each has a number.\n \n{ORCHARD.text}\n\nThe server room is cooled."
    hits = PassageRetriever([StoredText(doc_id="d", title="Notes", text=text)]).search(asked, 1, EVERYTHING)
    sentences = candidates(regions(hits))
    features = Reading(asked, regions(hits), sentences, encoder).features
    nearness = features[:, SENTENCE_FEATURES.index("passage_cosine")]
    by_paragraph = [
        {round(float(near), 6) for near, s in zip(nearness, sentences, strict=True) if s.paragraph == n}
        for n in range(3)
    ]
    (bills,), (orchard,), (server,) = by_paragraph  # one number for each
    assert orchard > bills == server  # these have the passage's


def test_only_as_many_passages_are_read_as_the_time_allows(library: PassageRetriever, encoder: Encoder) -> None:
    hits = library.search("orchard Port Ellis", 8, EVERYTHING)
    assert len(hits) == 2
    assert affordable(hits, encoder.tokenizer, max_tokens=1) == hits[:1]
    assert affordable(hits, encoder.tokenizer) == hits
    assert affordable([], encoder.tokenizer) == []


@pytest.mark.parametrize("reach", REACHES)
def test_the_shipped_calibration_knows_its_features_and_says_where_it_comes_from(reach: Reach) -> None:
    fit = load_extract_calibration().fits[reach]
    assert 0 < fit.threshold < 1
    assert len(fit.ranker.weights) == len(SENTENCE_FEATURES)
    assert len(fit.answerable.weights) == len(ANSWER_FEATURES)
    assert json.loads(shipped_text())[reach]["fitted_on"]


def test_without_weights_for_a_language_those_of_english_serve() -> None:
    data = json.loads(shipped_text())
    alone = load_extract_calibration(json.dumps({"encoder": data["encoder"], "english": data["english"]}))
    assert alone.fit("spelt") == alone.fit("english") == alone.fits["english"]


def test_a_calibration_of_another_version_is_refused() -> None:
    fit = {"ranker": {"luck": 1, "bias": 0}, "answerable": {"bias": 0}, "threshold": 0.5}
    text = json.dumps({"english": fit, "encoder": "x"})
    with pytest.raises(InvalidRequest, match=r"bench\.fit_extract"):
        load_extract_calibration(text)
