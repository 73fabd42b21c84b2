"""People's names by a token-classification model, here a tiny one that really tags."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelUnavailable
from models.person_names import PersonNames, person_labels, pieces
from tests.support.tiny_models import save_tiny_cross_encoder, save_tiny_names


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> PersonNames:
    return PersonNames(str(save_tiny_names(tmp_path_factory.mktemp("names") / "tiny")), device="cpu")


def found(names: PersonNames, text: str) -> list[str]:
    return [text[start:end] for start, end in names.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane met Acme.", ["Jane"]),
        ("(Jane Doe), who met Ana.", ["Jane Doe", "Ana"]),
        ("Jean-Luc Doe met nobody", ["Jean-Luc Doe"]),
        ("met J. Kowalski and Jane's word", ["J. Kowalski", "Jane"]),
        ("Jane\nAna", ["Jane", "Ana"]),
        ("hello. Jane. Ana met", ["Jane", "Ana"]),
        ("jane met hello world", []),
        ("", []),
    ],
)
def test_words_that_are_tagged_are_put_together_to_names(names: PersonNames, text: str, expected: list[str]) -> None:
    assert found(names, text) == expected


def test_in_a_long_text_every_name_is_found_where_it_stands(names: PersonNames) -> None:
    text, places = "", []
    for n in range(120):  # with 32 pieces to a window, names lie at every place of one
        text += "hello world " * (n % 13) + ("\n\n" if n % 40 == 0 else "")
        places.append((len(text), len(text) + len("Jane Doe")))
        text += "Jane Doe met 🦢 "
    assert len(text) > 8_000  # three pieces at least
    assert names.find(text) == places


@settings(max_examples=40)
@given(st.text(st.sampled_from("Jane Doe.\n-'àß漢字🦢\u0301"), max_size=60))
def test_spans_of_any_text_are_apart_and_hold_letters(names: PersonNames, text: str) -> None:
    spans = names.find(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert all(any(c.isalpha() for c in text[start:end]) for start, end in spans)


@settings(max_examples=40)
@given(st.text(st.sampled_from("ab .\n"), max_size=60).map(lambda s: s * 300))
def test_pieces_of_a_text_are_all_of_it(text: str) -> None:
    assert "".join(text[start:end] for start, end in pieces(text)) == text


@pytest.mark.parametrize(
    ("labels", "persons"),
    [
        (("O", "B-PER", "I-PER", "B-LOC"), [1, 2]),
        (("PERSON", "ORG"), [0]),
        (("O", "S-PERSON", "E-PERSON", "U-PER", "L_per"), [1, 2, 3, 4]),
    ],
)
def test_every_scheme_with_a_class_of_persons_is_understood(labels: tuple[str, ...], persons: list[int]) -> None:
    assert person_labels(dict(enumerate(labels))) == persons


def test_a_model_without_a_label_for_persons_is_refused_with_the_labels_it_has(tmp_path: Path) -> None:
    folder = save_tiny_names(tmp_path / "tiny", ("O", "B-ORG", "OPERATION"))
    with pytest.raises(ModelUnavailable, match="labels O, B-ORG, OPERATION does not tell people's names: choose"):
        PersonNames(str(folder)).find("Jane")


def test_a_model_of_another_kind_and_one_that_is_not_there_are_refused_each_in_a_sentence(tmp_path: Path) -> None:
    folder = save_tiny_cross_encoder(tmp_path / "tiny")
    with pytest.raises(ModelUnavailable, match="is a BertForSequenceClassification, which does not tell"):
        PersonNames(str(folder)).load()
    with pytest.raises(ModelUnavailable, match=r"cannot load the names model 'nobody/nothing'.*set pii_names_model to"):
        PersonNames("nobody/nothing").load()
    with pytest.raises(ModelUnavailable, match="cannot load the names model"):
        PersonNames(str(tmp_path / "empty")).load()


def test_a_search_can_be_ended(names: PersonNames) -> None:
    class Enough(Exception):
        pass

    def tick() -> None:
        raise Enough

    with pytest.raises(Enough):
        names.find("Jane met Ana " * 100, tick)
