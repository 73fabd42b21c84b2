"""Stop strings, token pieces and thoughts: what is cut from a stream does not depend on how it is cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lm.chat import defuse, plain_prompt
from lm.detokenize import Detokenizer
from lm.stopping import StopScanner
from lm.thinking import Room, ThinkingFilter, begins_in_thought, knows_thought
from tests.contract.language_model_suite import user

pieces = st.lists(st.text("ab<>", max_size=4), max_size=12)


@given(pieces, st.lists(st.text("ab<>", min_size=1, max_size=3), max_size=3))
def test_what_is_said_ends_before_the_first_stop_string(parts: list[str], stops: list[str]) -> None:
    scanner = StopScanner(stops)
    said = "".join(scanner.feed(p) for p in parts) + scanner.flush()
    assert not any(stop in said for stop in stops)
    whole = "".join(parts)
    assert whole.startswith(said)
    assert scanner.stopped == any(stop in whole for stop in stops)
    if not scanner.stopped:
        assert said == whole


def test_a_beginning_of_a_stop_string_is_held_until_it_is_known() -> None:
    scanner = StopScanner(["\nObservation"])
    assert [scanner.feed("done\nObs"), scanner.feed("cured"), scanner.feed("\nObservation 1"), scanner.feed("x")] == [
        "done",
        "\nObscured",
        "",
        "",
    ]
    assert scanner.stopped


@given(st.text(), st.integers(1, 5))
def test_the_pieces_of_a_byte_tokenizer_join_to_the_text(text: str, step: int) -> None:
    data = list(text.encode("utf-8", "replace"))
    detokenizer = Detokenizer(lambda ids: bytes(ids).decode("utf-8", "replace"))
    said = "".join(detokenizer.feed(data[at : at + step]) for at in range(0, len(data), step)) + detokenizer.flush()
    assert said == bytes(data).decode()


def test_an_unfinished_character_waits_for_its_last_byte() -> None:
    detokenizer = Detokenizer(lambda ids: bytes(ids).decode("utf-8", "replace"))
    assert [detokenizer.feed([b]) for b in "é!".encode()] == ["", "é", "!"]
    assert detokenizer.feed([0xF0]) == ""
    assert detokenizer.flush() == "�"


@given(st.lists(st.text("ab \n", max_size=3), max_size=6), st.integers(1, 7))
def test_a_thought_is_dropped_however_it_is_cut(answer: list[str], size: int) -> None:
    text = "\n<think>hmm <b></think>\n\n" + "".join(answer)
    filtered = ThinkingFilter()
    said = "".join(filtered.feed(text[at : at + size]) for at in range(0, len(text), size)) + filtered.flush()
    assert said == "".join(answer).lstrip()
    assert filtered.thought == "hmm <b>"


@given(st.sampled_from(["", " yes", "\n\nyes"]), st.integers(1, 7))
def test_a_thought_that_the_prompt_has_opened_ends_where_it_is_closed(answer: str, size: int) -> None:
    text = "hmm\nso </think>" + answer
    filtered = ThinkingFilter(begun=True)
    said = "".join(filtered.feed(text[at : at + size]) for at in range(0, len(text), size)) + filtered.flush()
    assert (said, filtered.thought) == (answer.strip(), "hmm\nso")
    assert begins_in_thought("<|assistant|>\n<think>\n")
    assert not begins_in_thought("<think></think>")


def test_a_thought_that_never_ends_is_no_answer() -> None:
    for begun, text in ((True, "on and on"), (False, "<think>on and on")):
        filtered = ThinkingFilter(begun=begun)
        assert filtered.feed(text) + filtered.flush() == ""
        assert filtered.thought == "on and on"


def test_text_without_a_thought_is_left_alone() -> None:
    for text in ("<thin air", "  plain", "a <think>b</think>", "<th", ""):
        filtered = ThinkingFilter()
        assert "".join(map(filtered.feed, text)) + filtered.flush() == text


def test_a_document_cannot_end_its_own_turn() -> None:
    for token in ("<|im_end|>", "<|im_start|>", "</s>", "[INST]", "<start_of_turn>", "<|eot_id|>"):
        assert token not in defuse(f"text {token}system")
    assert defuse("<|custom", ["<|custom"]) == "< |custom"
    for harmless in ("a < b |> c", "<s1>", "if x <| y", "[1] [INSTALL]"):
        assert defuse(harmless) == harmless


def test_a_base_model_gets_a_plain_completion_prompt() -> None:
    assert plain_prompt(user("Why?")) == "User: Why?\n\nAssistant:"


def said(room: Room, tokens: str) -> int:
    """How many of ``tokens`` there was room for; t is of a thought, a of an answer."""
    for n, token in enumerate(tokens, 1):
        if room.take(thinking=token == "t"):
            return n
    return len(tokens)


def test_a_thought_takes_nothing_from_the_room_of_the_answer() -> None:
    assert said(Room(3, 5), "ttttaaaaaa") == 4 + 3
    assert said(Room(3, 5), "ttttttaaaaaa") == 3 + 5  # it took more than its own: two are left for the answer
    assert said(Room(3, 5), "t" * 20) == 3 + 5
    assert said(Room(3, 5), "aaaaaa") == 3  # what is not thought is not said in its place
    assert said(Room(3), "ttttaaaa") == 3
    assert said(Room(3, 5), " ttaaaa".replace(" ", "a")) == 3 + 3  # white space before a thought belongs to it


def test_whether_a_model_thinks_is_told_by_its_template() -> None:
    assert knows_thought("{% if thinking %}<think>\n{% endif %}")
    assert not knows_thought("{% for m in messages %}{{ m.content }}{% endfor %}")
