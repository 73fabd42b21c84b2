"""Mining: what becomes a question, what becomes a negative, and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.mine_pairs import check, mean_max, mine
from bench.mining.documentation import sections_of
from bench.mining.fields import Field, Judged, Question, normal, qa_field
from bench.mining.leakage import Guard, check_groups, overlaps
from bench.mining.negatives import Rules
from core.errors import InvalidRequest, NotFound
from models.train.pairs import Group, Mined, Passage, read_mined, write_mined
from tests.support.hash_encoder import HashEncoder

TOPICS = ("otters swim", "badgers dig", "falcons dive", "beavers build", "foxes hunt", "herons wade")
WHERE = ("in the northern river", "under the old bridge", "near a quiet village", "beyond the hill", "at the coast")


def passage(key: str, text: str, heading: str = "") -> Passage:
    return Passage(id=key, title="Animals", heading=heading, text=text)


def corpus() -> dict[str, Passage]:
    """Thirty passages, each with words of its own, about six topics in five places."""
    found = [
        passage(f"{i}.{j}", f"{topic} {place} and number{i}{j} says how word{i} and mark{j} came about {i + 3 * j}")
        for i, topic in enumerate(TOPICS)
        for j, place in enumerate(WHERE)
    ]
    return {p.id: p for p in found}


def field(**changes: object) -> Field:
    passages = corpus()
    questions = [
        Question(id=f"q{i}", query=f"where {topic} {WHERE[i % 5]} number{i}{i % 5}", positives=(f"{i}.{i % 5}",))
        for i, topic in enumerate(TOPICS)
    ]
    dev = [Judged(id="d0", query="how mark0 came about for foxes", relevant={"4.0": 1, "never found": 1})]
    made = Field(name="animals", licence="ours", passages=passages, train=questions, dev={"animals": dev})
    return replace(made, **changes)  # type: ignore[arg-type]


def mined_from(made: Field, folder: Path, **rules: float) -> Mined:
    given = {"share": 9.0, "n": 4, "fewest": 2, "seed": 0, **rules}
    return mine([made], HashEncoder(256), folder, mean_max, Rules(**given), {"command": "a test"})  # type: ignore[arg-type]


def test_no_positive_is_ever_a_negative_and_the_same_seed_gives_the_same_groups(tmp_path: Path) -> None:
    first, second = (mined_from(field(), tmp_path / "vectors") for _ in range(2))
    assert first.groups == second.groups
    assert len(first.groups) == len(TOPICS)
    for group in first.groups:
        assert not set(group.positives) & set(group.negatives)
        assert len(group.fused) == len(group.late) == len(group.positives) + len(group.negatives)


def test_what_nearly_repeats_a_positive_is_no_negative(tmp_path: Path) -> None:
    passages = corpus()
    text = passages["0.0"].text
    passages["twin"] = passage("twin", text.upper() + "!")
    passages["edition"] = passage("edition", text + " once more")
    mined = mined_from(field(passages=passages), tmp_path)
    (group,) = (g for g in mined.groups if g.id == "q0")
    assert not {"twin", "edition"} & set(group.negatives)
    assert mined.manifest["dropped"]["same text"] >= 2


def test_the_rest_of_a_section_is_no_negative_of_its_heading(tmp_path: Path) -> None:
    question = Question(
        id="q",
        query=f"where do {TOPICS[0]} now",
        positives=("0.0",),
        never=frozenset({"0.1", "0.2"}),
        with_heading=False,
    )
    mined = mined_from(field(train=[question]), tmp_path, n=8)
    assert not {"0.0", "0.1", "0.2"} & set(mined.groups[0].negatives)
    assert {"0.3", "0.4"} & set(mined.groups[0].negatives)  # as hard, and free to be one


def test_a_candidate_as_good_as_the_positive_is_dropped(tmp_path: Path) -> None:
    strict = mined_from(field(), tmp_path, share=0.3, n=20)
    lenient = mined_from(field(), tmp_path, share=9.0, n=20)
    assert strict.manifest["dropped"]["too good"] > lenient.manifest["dropped"]["too good"]
    assert strict.manifest["pairs"] < lenient.manifest["pairs"]


def test_a_sentence_is_asked_of_the_passage_without_it(tmp_path: Path) -> None:
    altered = passage("0.0-", "what is left of the passage about otters in the northern river")
    question = Question(id="q", query="where otters swim now", positives=("0.0",), altered=altered)
    mined = mined_from(field(train=[question]), tmp_path)
    assert mined.groups[0].positives == ("0.0-",)
    assert "0.0" not in mined.groups[0].negatives
    write_mined(tmp_path / "pairs", mined)
    assert read_mined(tmp_path / "pairs").passages["0.0-"] == altered


# ---------------------------------------------------------------- leakage


def test_planted_overlaps_are_caught_and_dropped(tmp_path: Path) -> None:
    made = field()
    planted = [
        Question(id="same question", query="For foxes: how came mark0 about?", positives=("1.1",)),
        Question(id="same passage", query="something else entirely", positives=("4.0",)),
        Question(id="quoted", query=made.passages["4.0"].text[:45], positives=("2.2",)),
    ]
    mined = mined_from(replace(made, train=[*made.train, *planted]), tmp_path)
    assert {g.id for g in mined.groups} == {q.id for q in made.train}
    assert mined.manifest["overlaps"] == {"query": 1, "positive": 1, "quoted": 1}
    assert overlaps(mined) == []


def test_a_near_duplicate_of_a_relevant_passage_is_an_overlap() -> None:
    text = " ".join(f"word{i}" for i in range(120))
    guard = Guard([], [("dev/a", passage("a", text))])
    copied = passage("b", text.replace("word60", "other"))
    assert [o.kind for o in guard.look("g", "a question", [copied])] == ["positive"]
    assert list(guard.look("g", "a question", [passage("c", "quite another text about nothing of it")])) == []


def test_the_check_names_what_it_finds_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mined = mined_from(field(), tmp_path / "vectors")
    write_mined(tmp_path / "clean", mined)
    assert check(tmp_path / "clean") == 0
    leaky = replace(mined.groups[0], id="leaky", query=mined.dev["animals"][0].query)
    write_mined(tmp_path / "leaky", replace(mined, groups=(*mined.groups, leaky)))
    assert check(tmp_path / "leaky") == 1
    assert "query: leaky touches animals/d0" in capsys.readouterr().out


def test_the_same_words_under_another_id_among_the_negatives_is_a_bug_that_is_caught() -> None:
    passages = {"a": passage("a", "the same words"), "b": passage("b", "The same words.")}
    group = Group(id="g", field="f", query="q", positives=("a",), negatives=("b",))
    with pytest.raises(InvalidRequest, match="'g': its positive 'b' is among its negatives"):
        check_groups([group], passages)


# ---------------------------------------------------------------- files


def test_a_folder_reads_back_as_it_was_written_byte_for_byte(tmp_path: Path) -> None:
    mined = mined_from(field(), tmp_path / "vectors")
    for name in ("one", "two"):
        write_mined(tmp_path / name, mined)
    again = read_mined(tmp_path / "one")
    assert again.groups == mined.groups
    assert again.dev == mined.dev
    for path in (tmp_path / "one").rglob("*.gz"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_folder_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"holds no passages\.jsonl\.gz: make such a folder with"):
        read_mined(tmp_path)
    mined = mined_from(field(), tmp_path / "vectors")
    group = mined.groups[0]
    both = replace(group, negatives=(*group.positives, *group.negatives[1:]))
    write_mined(tmp_path / "both", replace(mined, groups=(both,)))
    with pytest.raises(InvalidRequest, match="as positive and as negative"):
        read_mined(tmp_path / "both")


# ---------------------------------------------------------------- documentation


def test_a_document_is_cut_at_headings_which_are_not_in_the_text() -> None:
    words = " ".join(f"w{i}" for i in range(40))
    text = f"---\nauthor: no one\n---\n# The manual\n\n{words}\n\n## How to [start](x.md)\n\n{words} again.\n\n## Too short\n\nA few."
    found = list(sections_of(text, ".md", source="s", document="s/d.md"))
    assert [(s.title, s.heading) for s in found] == [("The manual", ""), ("The manual", "How to start")]
    assert all("#" not in p.text and p.text.startswith("w0") for s in found for p in s.parts)
    assert found[1].parts[0].read_as() == f"The manual > How to start\n{words} again."
    assert found[1].parts[0].read_as(with_heading=False) == f"The manual\n{words} again."
    assert found[1].parts[0].read_as(with_title=False, with_heading=False) == f"{words} again."


def test_a_document_is_named_by_its_front_matter_or_by_its_file_where_headings_do_not() -> None:
    words = " ".join(f"w{i}" for i in range(40))
    text = f"# Summary\n\n{words}\n\n# Motivation\n\n{words} more"
    plain = sections_of(text, ".md", source="s", document="s/0042-let-else.md")
    assert [(s.title, s.heading) for s in plain] == [("0042 let else", "Summary"), ("0042 let else", "Motivation")]
    named = sections_of(f"---\ntitle: Let else\n---\n{text}", ".md", source="s", document="s/0042.md")
    assert {s.title for s in named} == {"Let else"}


def test_a_long_section_is_several_passages_and_loses_no_word() -> None:
    paragraphs = [" ".join(f"p{i}w{j}" for j in range(70)) for i in range(5)]
    text = "Title\n=====\n\n" + "\n\n".join(paragraphs)
    (section,) = sections_of(text, ".rst", source="s", document="s/d.rst")
    assert [len(p.text.split()) for p in section.parts] == [140, 140, 70]  # at most 180 words
    assert normal(" ".join(p.text for p in section.parts)) == normal(" ".join(paragraphs))


@pytest.mark.data
def test_train_and_dev_paragraphs_of_the_shared_sets_are_apart(shared_data: Path) -> None:
    made = qa_field(
        "xquad-en", "", shared_data / "xquad/en-train.jsonl", shared_data / "xquad/en-dev.jsonl", measured=True
    )
    trained = {i for q in made.train for i in q.positives}
    measured = {i for q in made.dev["xquad-en"] for i in q.relevant}
    assert (len(trained), len(measured), len(trained & measured)) == (72, 48, 0)
