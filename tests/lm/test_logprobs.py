"""How likely a model found what it said: against the models by themselves, and as servers tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.events import TextDelta
from core.protocols import LanguageModel, gives_logprobs
from core.types import Message, SamplingParams, ToolSpec
from lm.openai import OpenAICompatibleLM
from lm.openai_wire import token_logprobs
from lm.spoken import Spoken
from lm.transformers import TransformersLM
from tests.contract.language_model_suite import collect, run, user
from tests.support.model_server import ModelServer, serving
from tests.support.tiny_llama import build_llama

QUESTION = user("Of-what-is-the-moon?")
BARE = tuple(user("Moon?"))
_PRINTABLE = 94  # the ASCII letters and signs: every token is one character, so a text says its tokens


def heard(lm: LanguageModel, messages: Sequence[Message] = QUESTION, **params: Any) -> tuple[str, list[float]]:
    events = run(collect(lm, messages, SamplingParams(**{"max_tokens": 16, **params})))
    deltas = [e for e in events if isinstance(e, TextDelta)]
    return "".join(d.text for d in deltas), [x for d in deltas for x in d.logprobs]


# ------------------------------------------------------------ transformers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("models")
    return {
        "expert": build_llama(made / "expert", letters=_PRINTABLE),
        "amateur": build_llama(made / "amateur", layers=1, seed=9, letters=_PRINTABLE),
    }


@pytest.fixture(scope="module")
def by_hand(folders: dict[str, Path]) -> Callable[[str], list[float]]:
    """The log-probabilities of an answer to ``QUESTION``, by one pass of the model over all of it, without any of our code."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folders["expert"])
    model: Any = AutoModelForCausalLM.from_pretrained(folders["expert"])
    prompt = tokenizer("<|user|>Of-what-is-the-moon?<|end|><|assistant|>")["input_ids"]

    def logprobs(answer: str) -> list[float]:
        tokens = tokenizer(answer)["input_ids"]
        with torch.no_grad():
            every = model(torch.tensor([prompt + tokens])).logits[0].log_softmax(-1)  # (n, vocabulary)
        return [float(every[len(prompt) + i - 1, t]) for i, t in enumerate(tokens)]

    return logprobs


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(folders["expert"]), device="cpu")
    yield lm
    lm.close()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 0.7, "seed": 3},
        {"temperature": 2.0, "top_k": 5, "top_p": 0.9, "min_p": 0.05, "seed": 4},
        {"repetition_penalty": 1.8, "no_repeat_ngram": 1},
        {"contrast": 1.0, "without": BARE},
    ],
    ids=["greedy", "sampled", "cut and hot", "penalised", "against no passages"],
)
def test_however_it_was_drawn_a_token_is_as_likely_as_the_model_by_itself_finds_it(
    plain: TransformersLM, by_hand: Callable[[str], list[float]], params: dict[str, Any]
) -> None:
    text, given = heard(plain, **params)
    assert len(given) == 16
    assert given == pytest.approx(by_hand(text), abs=1e-4)


@pytest.mark.parametrize("beside", ["draft", "amateur"])
def test_a_model_beside_it_changes_nothing_about_that(
    folders: dict[str, Path], by_hand: Callable[[str], list[float]], beside: str
) -> None:
    lm = TransformersLM(str(folders["expert"]), device="cpu", **{beside: str(folders["amateur"])})  # type: ignore[arg-type]
    try:
        for n in (1, 5, 40):
            text, given = heard(lm, max_tokens=n)
            assert given == pytest.approx(by_hand(text), abs=1e-4)
    finally:
        lm.close()


def test_what_a_stop_string_takes_away_is_not_counted(
    plain: TransformersLM, by_hand: Callable[[str], list[float]]
) -> None:
    whole, _ = heard(plain)
    stop = whole[7:10]
    text, given = heard(plain, stop=(stop,))
    assert text == whole[: whole.index(stop)]
    assert given == pytest.approx(by_hand(text), abs=1e-4)


def test_beams_have_none(plain: TransformersLM) -> None:
    text, given = heard(plain, beams=3)
    assert text
    assert given == []


# ------------------------------------------------------------ servers


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        yield running


def client(server: ModelServer) -> OpenAICompatibleLM:
    return OpenAICompatibleLM(server.base_url, timeout_s=5.0, backoff_s=0.01)


def test_a_servers_figures_are_passed_on_without_that_of_the_end(server: ModelServer) -> None:
    lm = client(server)
    assert not gives_logprobs(lm)  # nothing has been said yet
    assert heard(lm, max_tokens=3) == ("w0 w1 w2 ", [0.0, -0.1, -0.2])
    assert gives_logprobs(lm)


def test_a_server_that_ignores_the_wish_is_asked_once(server: ModelServer) -> None:
    server.logprobs = "ignore"
    lm = client(server)
    assert [heard(lm, max_tokens=2) for _ in range(2)] == [("w0 w1 ", [])] * 2
    assert ["logprobs" in body for body in server.requests] == [True, False]
    assert not gives_logprobs(lm)


def test_a_server_that_refuses_the_wish_is_asked_again_without_it(server: ModelServer) -> None:
    server.logprobs = "refuse"
    lm = client(server)
    assert [heard(lm, max_tokens=2) for _ in range(2)] == [("w0 w1 ", [])] * 2
    assert ["logprobs" in body for body in server.requests] == [True, False, False]


def test_a_server_that_breaks_on_the_wish_is_tried_again_without_it(server: ModelServer) -> None:
    server.misbehave = ["status 500"]
    assert heard(client(server), max_tokens=2) == ("w0 w1 ", [])
    assert ["logprobs" in body for body in server.requests] == [True, False]


def test_beside_tools_nothing_is_asked(server: ModelServer) -> None:
    async def scene() -> None:
        tool = ToolSpec(name="search", description="finds", parameters={"type": "object", "properties": {}})
        async for _ in client(server).stream(QUESTION, (tool,), SamplingParams(max_tokens=2)):
            pass

    run(scene())
    assert "logprobs" not in server.requests[0]


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"content": None},
        {"content": [{"logprob": None}]},
        {"content": ["x"]},
        {"content": [{"logprob": -1}, {}]},
    ],
)
def test_figures_that_cannot_be_read_are_none(said: Any) -> None:
    assert token_logprobs({"choices": [{"delta": {"content": "a"}, "logprobs": said}]}) == []


def test_those_of_thoughts_that_a_server_keeps_apart_are_none_of_the_answers() -> None:
    said = {"content": [{"logprob": -1.5}]}
    assert token_logprobs({"choices": [{"delta": {"reasoning_content": "hm"}, "logprobs": said}]}) == []
    assert token_logprobs({"choices": [{"delta": {"content": "so"}, "logprobs": said}]}) == [-1.5]


# ------------------------------------------------------------ text and tokens


def _spoken(pieces: Sequence[tuple[str, Sequence[float]]], stops: Sequence[str] = ()) -> tuple[str, list[float]]:
    spoken = Spoken(stops)
    said = [spoken.feed(text, logprobs) for text, logprobs in pieces]
    said.append(None if spoken.stopped else spoken.end())
    deltas = [d for d in said if d is not None]
    return "".join(d.text for d in deltas), [x for d in deltas for x in d.logprobs]


def test_a_character_of_two_tokens_has_both() -> None:
    assert _spoken([("", [-1.0]), ("é", [-2.0]), ("t", [-3.0])]) == ("ét", [-1.0, -2.0, -3.0])


def test_thoughts_keep_their_tokens_to_themselves() -> None:
    pieces = [("<thi", [-1.0]), ("nk>hm", [-2.0]), ("</think>", [-3.0]), ("\n", [-4.0]), ("Yes", [-5.0]), (".", [-6.0])]
    assert _spoken(pieces) == ("Yes.", [-5.0, -6.0])


def test_what_only_began_like_a_thought_is_counted() -> None:
    assert _spoken([("<", [-1.0]), ("b", [-2.0]), ("old", [-3.0])]) == ("<bold", [-1.0, -2.0, -3.0])
    assert _spoken([("<t", [-1.0])]) == ("<t", [-1.0])


def test_a_token_that_a_stop_string_cuts_in_two_is_counted_and_those_after_it_are_not() -> None:
    pieces = [("a", [-1.0]), ("b;", [-2.0]), ("; ", [-3.0]), ("c", [-4.0])]
    assert _spoken(pieces, stops=[";;"]) == ("ab", [-1.0, -2.0])


def test_what_was_held_for_a_stop_string_that_never_came_is_counted() -> None:
    assert _spoken([("a;", [-1.0]), (";", [-2.0])], stops=[";;;"]) == ("a;;", [-1.0, -2.0])
