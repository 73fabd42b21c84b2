"""A claim is supported, refuted or neither; what says so is quoted, and sources that disagree are both heard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.check import CheckedClaim, ClaimChecker
from agents.sources import SourceDate
from agents.verify import RuleVerifier
from core.errors import InvalidRequest
from tests.contract.strategy_suite import HARBOUR, ORCHARD
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

LATER = StoredText(
    doc_id="d-later",
    title="Survey",
    text="The orchard was planted in 1992 by Maria Keller. Bees are kept there.",
)


def check(claim: str, *documents: StoredText) -> CheckedClaim:
    library = PassageRetriever(documents or (ORCHARD, HARBOUR))
    checker = ClaimChecker(
        retriever=library,
        verifier=RuleVerifier(),
        dates=lambda ids: {"d-later": SourceDate("2024-05-01")} if "d-later" in ids else {},
    )
    checked = checker.check(claim, EVERYTHING)
    for citation in checked.citations:
        assert library.stored(citation.doc_id, citation.start, citation.end) == citation.quote
    cited = {n for s in checked.sentences for n in s.citations} | {n for c in checked.conflicts for n in c.citations}
    assert cited == {c.marker for c in checked.citations}
    return checked


def test_a_claim_that_a_passage_makes_is_supported() -> None:
    found = check("Maria Keller planted the orchard in 1987.")
    assert found.verdict == "supported"
    assert found.citations[0].quote == "The orchard was planted in 1987 by Maria Keller."
    assert found.citations[0].verdict == "supported"


def test_a_claim_with_another_year_is_refuted_and_the_right_one_named() -> None:
    found = check("Maria Keller planted the orchard in 1992.")
    assert found.verdict == "refuted"
    assert "1987" in found.reason
    assert "1987" in found.citations[0].quote


def test_a_claim_that_nobody_makes_is_not_enough_and_the_nearest_is_shown() -> None:
    found = check("The orchard belongs to a monastery in Portugal.")
    assert found.verdict == "not enough"
    assert found.citations[0].verdict in ("unsupported", "partial")


def test_a_claim_without_any_passage_is_not_enough() -> None:
    found = check("Quantum chromodynamics confines quarks.")
    assert (found.verdict, found.citations) == ("not enough", ())


def test_every_sentence_is_judged_by_itself() -> None:
    found = check("The orchard was planted in 1987 by Maria Keller. It has 412 apple trees. It has 900 lighthouses.")
    assert [s.verdict == "supported" for s in found.sentences] == [True, True, False]
    assert found.verdict != "supported"


def test_sources_that_disagree_are_both_cited_with_their_dates() -> None:
    found = check("The orchard was planted in 1987 by Maria Keller.", ORCHARD, LATER)
    assert found.verdict == "not enough"
    (conflict,) = found.conflicts
    assert conflict.text == (
        "Sources disagree: “The orchard report” says 1987 [1]; “Survey” (2024-05-01) says 1992 [2]."
    )
    assert [c.doc_id for c in found.citations if c.marker in conflict.citations] == ["d-orchard", "d-later"]


def test_sources_of_one_title_that_disagree_are_named_by_their_files() -> None:
    report = replace(ORCHARD, uri="reports/orchard.md")
    draft = replace(LATER, title=ORCHARD.title, uri="drafts/orchard (2).md")
    (conflict,) = check("The orchard was planted in 1987 by Maria Keller.", report, draft).conflicts
    assert conflict.text == (
        "Sources disagree: “The orchard report” (orchard.md) says 1987 [1]; "
        "“The orchard report” (orchard (2).md, 2024-05-01) says 1992 [2]."
    )


def test_a_file_of_the_conversation_that_disagrees_with_its_namesake_is_not_told_by_an_inner_name() -> None:
    kept = replace(ORCHARD, uri="orchard.md", collection="farm")
    brought = replace(LATER, title=ORCHARD.title, uri="orchard.md", collection="attached-h0123")
    (conflict,) = check("The orchard was planted in 1987 by Maria Keller.", kept, brought).conflicts
    assert conflict.text == (
        "Sources disagree: “The orchard report” (orchard.md, farm) says 1987 [1]; "
        "“The orchard report” (orchard.md, 2024-05-01) says 1992 [2]."
    )


def test_another_number_at_another_time_is_no_refutation() -> None:
    found = check("In 2022 the harvest was 51 tonnes.")
    assert found.verdict == "not enough"


def test_what_claims_nothing_is_said_to_claim_nothing() -> None:
    assert check("Who planted the orchard?").reason == "It states nothing that could be checked."


@pytest.mark.parametrize("claim", ["", " … ", "A is b. " * 30])
def test_a_claim_that_cannot_be_checked_is_refused(claim: str) -> None:
    with pytest.raises(InvalidRequest):
        check(claim)


@pytest.mark.parametrize(("one", "other"), [("first", "second"), ("third", "fourth")])
def test_another_quarter_is_another_occasion(one: str, other: str) -> None:
    earlier = StoredText(
        doc_id="d-q1", title="Report", text=f"Net sales in the {one} quarter of 2022 were $4.1 million. It rained."
    )
    later = StoredText(
        doc_id="d-q2", title="Report", text=f"Net sales in the {other} quarter of 2022 were $5.2 million. It snowed."
    )
    found = check(f"Net sales in the {other} quarter of 2022 were $5.2 million.", earlier, later)
    assert (found.verdict, found.conflicts) == ("supported", ())
    alone = check(f"Net sales in the {other} quarter of 2022 were $5.2 million.", earlier)
    assert alone.verdict == "not enough"
