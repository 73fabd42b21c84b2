"""Forms: the automaton against Python's ``re``, and answers of the transformers runtime that are written by one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.react import ACTION_FORM, is_action
from agents.self_rag import _FORMS
from core.errors import InvalidRequest
from core.types import Completion, SamplingParams
from lm.complete import complete
from lm.forms import Form
from lm.transformers import TransformersLM
from lm.vocabulary import Vocabulary, _characters
from tests.contract.language_model_suite import run, user
from tests.support.tiny_llama import build_llama

EXPRESSIONS = (
    ACTION_FORM, *_FORMS.values(), "10|[0-9]", "", "a|", "(a|b)*abb", "(?:ab?)+c", "a{3}", "a{2,4}b", "(ab){0,2}c", "a{2,}", "(a|bc){1,2}",
    r"[^ab]+", r"[]a]b", r"[^]a]", r"\d+\.\d*", r"\w\W\s", r"[\]\-a]+", r"\x61b", "(a?b?){2}", "((a|b)(c|)){1,3}", "a?a?aa", "(a*)*b",
    '"([^"\\\\]|\\\\.)*"',
)  # fmt: skip
LETTERS = 'ab c01.]-["\\\nxé'


def accepts(form: Form, text: str) -> bool:
    return form.may_end(form.step(form.start, text))


@given(st.sampled_from(EXPRESSIONS), st.text(alphabet=LETTERS, max_size=8))
def test_what_it_accepts_is_what_re_matches(regex: str, text: str) -> None:
    assert accepts(Form(regex), text) == (re.fullmatch(regex, text) is not None)


@given(st.sampled_from(EXPRESSIONS), st.data())
def test_every_beginning_of_a_match_may_go_on(regex: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(regex, fullmatch=True))
    form = Form(regex)
    assert all(form.step(form.start, text[:n]) for n in range(len(text) + 1))
    assert accepts(form, text)


@given(st.recursive(
    st.sampled_from(["a", "b", "c", "[ab]", "[^a]", "."]),
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=3).map("".join),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(part, st.sampled_from(["?", "+", "*", "{2}", "{1,3}", "{0,1}", "{2,}"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=8,
), st.text(alphabet="abcd", max_size=6))  # fmt: skip
def test_so_it_is_with_expressions_made_at_random(regex: str, text: str) -> None:
    assert accepts(Form(regex), text) == (re.fullmatch(regex, text) is not None)


def test_it_is_known_when_nothing_may_follow() -> None:
    form = Form("yes|yes, sir")
    assert form.may_end(form.step(form.start, "yes")) and not form.must_end(form.step(form.start, "yes"))
    assert form.must_end(form.step(form.start, "yes, sir"))
    assert not form.step(form.start, "yesterday")


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        ("(?=a)b", "more than brackets"),
        (r"(a)\1", "an escape that is no character"),
        ("a+?", "lazy"),
        ("^a$", "in that place"),
        ("a{3,1}", "3 to 1"),
        ("(a", "not closed"),
        ("a)", "too many"),
    ],
)
def test_what_is_no_form_is_refused_and_named(regex: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        Form(regex)


def test_a_token_is_allowed_if_all_of_its_characters_are() -> None:
    vocabulary = Vocabulary(["y", "ye", "yes", "no", "s", "yesterday", None, None], ends=[7])
    form = Form("yes|no")
    assert list(vocabulary.allowed(form, vocabulary.start(form))) == [0, 1, 2, 3]
    assert list(vocabulary.allowed(form, (form.step(form.start, "ye"), b""))) == [4]
    assert list(vocabulary.allowed(form, (form.step(form.start, "yes"), b""))) == [7]  # only the end


def test_a_part_of_a_character_is_allowed_if_the_rest_of_it_may_come() -> None:
    # é is C3 A9, ö is C3 B6, and 日 is E6 97 A5.
    vocabulary = Vocabulary(["e", b"\xc3", b"\xa9", b"\xb6", b"\xe6\x97", b"\xa5", b"\xe6"], ends=[])
    form = Form("[éo]|日")
    start = vocabulary.start(form)
    assert list(vocabulary.allowed(form, start)) == [1, 4, 6]
    begun = vocabulary.after(form, start, 1)
    assert begun is not None
    assert list(vocabulary.allowed(form, begun)) == [2]
    assert list(vocabulary.allowed(Form("ü"), (Form("ü").start, b""))) == [
        1
    ]  # C3 BC: what may begin it, though no token ends it
    assert list(vocabulary.allowed(Form("[a-zß-ÿ]"), (Form("[a-zß-ÿ]").start, b""))) == [0, 1]


@given(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), st.data())
def test_the_characters_that_begin_so_are_those_and_no_others(character: str, data: st.DataObject) -> None:
    whole = character.encode()
    begun = whole[: data.draw(st.integers(1, len(whole) - 1))]
    found = _characters(begun)
    assert character in found
    assert found[0].encode().startswith(begun) and found[-1].encode().startswith(begun)
    before, after = chr(ord(found[0]) - 1), ord(found[-1]) + 1
    assert not before.encode("utf-8", "surrogatepass").startswith(begun)
    assert after > 0x10FFFF or not chr(after).encode("utf-8", "surrogatepass").startswith(begun)


# ------------------------------------------------------------ answers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("models")
    return {"expert": build_llama(made / "expert"), "amateur": build_llama(made / "amateur", layers=1, seed=9)}


@pytest.fixture(scope="module")
def lm(folders: dict[str, Path]) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(folders["expert"]), device="cpu")
    yield lm
    lm.close()


def said(lm: TransformersLM, regex: str, text: str = "Moon?", **params: Any) -> Completion:
    return run(complete(lm, user(text), (), SamplingParams(regex=regex, **{"max_tokens": 40, **params})))


HOT = {"temperature": 3.0, "seed": 5}


@pytest.mark.parametrize(
    "params",
    [{}, HOT, {**HOT, "top_k": 2}, {"beams": 3}, {"contrast": 1.0, "without": tuple(user("?"))}],
    ids=["greedy", "hot", "cut", "beams", "contrast"],
)
def test_an_answer_has_its_form_however_it_is_drawn(lm: TransformersLM, params: dict[str, Any]) -> None:
    for regex in ("(yes|no), (lakes|rivers|seas)", "[0-9]{3}-[a-f]+z", "é(日本|中国)?!"):
        answer = said(lm, regex, **params)
        if answer.finish_reason == "stop":
            assert re.fullmatch(regex, answer.text)
        else:
            form = Form(regex)
            assert form.step(form.start, answer.text), "cut off, and no beginning of the form either"
    assert re.fullmatch("yes|no", said(lm, "yes|no", **params).text)


def test_a_model_beside_it_keeps_to_the_form(folders: dict[str, Path], lm: TransformersLM) -> None:
    form = "(yes|no), (lakes|rivers|seas)"
    for role in ("draft", "amateur"):
        other = TransformersLM(str(folders["expert"]), device="cpu", **{role: str(folders["amateur"])})  # type: ignore[arg-type]
        try:
            answer = said(other, form).text
            assert re.fullmatch(form, answer)
            if role == "draft":
                assert answer == said(lm, form).text
        finally:
            other.close()


def test_one_that_has_all_of_its_form_ends_and_counts_its_tokens(lm: TransformersLM) -> None:
    answer = said(lm, "yes|yes, sir")
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens <= len(answer.text) + 1


def test_an_action_is_one_that_react_can_read(lm: TransformersLM) -> None:
    answer = said(lm, ACTION_FORM, **HOT, max_tokens=400)
    assert answer.finish_reason == "length" or is_action(answer.text.strip())


def test_answers_with_and_without_forms_are_written_side_by_side(lm: TransformersLM) -> None:
    async def scene() -> list[Completion]:
        forms = ("yes|no", "", "[a-c]{4}", "")
        asks = [SamplingParams(max_tokens=12, regex=form) for form in forms]
        return await asyncio.gather(*(complete(lm, user(f"{i}"), (), p) for i, p in enumerate(asks)))

    first, free, letters, other = run(scene())
    assert first.text in ("yes", "no")
    assert re.fullmatch("[a-c]{4}", letters.text)
    for i, answer in ((1, free), (3, other)):
        assert answer.text == run(complete(lm, user(f"{i}"), (), SamplingParams(max_tokens=12))).text


def test_a_form_that_cannot_be_read_is_refused_by_name(lm: TransformersLM) -> None:
    with pytest.raises(InvalidRequest, match="more than brackets"):
        said(lm, "(?=a)b")
    assert said(lm, "").text


def test_what_is_remembered_of_forms_is_bounded() -> None:
    """A vocabulary of bytes has very many beginnings of characters, and a form that allows most of them many places."""
    letters: list[str | bytes | None] = [bytes([b]) if b >= 0x80 else chr(b) for b in range(256)]
    vocabulary = Vocabulary(letters, ends=[])
    for i in range(10):
        form = Form(f"[^{chr(0x4E00 + i)}]+x?")
        at = vocabulary.start(form)
        for byte in "日é😀a".encode():
            vocabulary.allowed(form, at)
            found = vocabulary.after(form, at, byte)
            assert found is not None
            at = found
    assert len(vocabulary._allowed) <= 64
    assert len(vocabulary._can_go_on) <= 4096
