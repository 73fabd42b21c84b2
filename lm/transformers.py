"""A language model in this process through transformers: any causal LM by name or path, on CUDA or CPU.

One thread owns the model and answers one request after the other. torch and transformers are imported by ``load``.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidRequest, ModelUnavailable, OpenbookError
from core.events import LMDone, LMEvent
from core.offload import Channel
from core.types import FinishReason, Message, SamplingParams, ToolSpec, Usage
from lm.chat import PLAIN_STOPS, check_request, defuse, plain_prompt, refuse_tools, room_for_answer
from lm.detokenize import Detokenizer
from lm.spoken import Spoken

if TYPE_CHECKING:
    from lm.causal import DType

_log = logging.getLogger(__name__)
_DEFAULT_CONTEXT = 2048  # of a model whose configuration does not say
_ANY_LENGTH = 10**9  # tokenizers without a limit say 1e30


class _Cancelled(Exception):
    """Ends a forward pass that nobody waits for."""


@dataclass(slots=True)
class _Request:
    messages: Sequence[Message]
    params: SamplingParams
    channel: Channel[LMEvent | OpenbookError]
    cancelled: threading.Event = field(default_factory=threading.Event)


class TransformersLM:
    """Streams from ``model``, a hub name or a folder. Weights are read from safetensors only.

    Args:
        model: hub name or folder.
        device: "auto" is CUDA where there is one.
        dtype: "auto" is what the weights have on CUDA and float32 on CPU, where bfloat16 is slower.
        context_tokens: prompt and answer together; None is what the model says.
        adapter: folder of a LoRA adapter as PEFT saves it; merged into the weights.
        draft: a smaller model with the same vocabulary, which proposes what the model then checks (greedy requests only,
            whose tokens stay the same): hub name or folder.
        amateur: a smaller model with the same vocabulary, against which all answers are weighed (``lm.contrast``): hub name
            or folder.

    Text comes with the log-probabilities of its tokens under the model itself (``lm.own_logprobs``), but not from beams, of which
    none is known to win before the end.

    Raises:
        InvalidRequest: both a draft and an amateur.
    Raises (from ``stream``):
        InvalidRequest: tools were given, or a parameter is out of range.
        TooLarge: the prompt leaves no room for an answer, code "prompt-too-long".
        ModelUnavailable: it cannot be loaded, or failed.
    """

    native_tools = False
    contrasting = True
    logprobs = True

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        dtype: DType = "auto",
        context_tokens: int | None = None,
        adapter: Path | None = None,
        draft: str = "",
        amateur: str = "",
    ) -> None:
        if draft and amateur:
            raise InvalidRequest(
                "lm_draft_model and lm_amateur_model are both set: a draft is checked against the model's own choice, which"
                " an amateur changes; leave one of them empty",
                code="bad-settings",
            )
        self._model_name = model
        self._adapter = adapter
        self._draft_name = draft
        self._amateur_name = amateur
        self._draft: Any = None
        self._amateur: Any = None
        self._device = device
        self._dtype = dtype
        self._context_set = context_tokens
        self._context_said: int | None = None
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._model: Any = None
        self._control_tokens: list[str] = []
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Request | None = None
        self._now = threading.Event()  # set while a request is at work
        self.has_chat_template: bool | None = None  # known when loaded; without one a plain completion prompt is used

    @property
    def name(self) -> str:
        adapter = f"+{self._adapter.name}" if self._adapter is not None else ""
        amateur = f"-{self._amateur_name}" if self._amateur_name else ""
        return f"transformers:{self._model_name}{adapter}{amateur}"

    @property
    def context_tokens(self) -> int:
        """Known when loaded; before that what was set, or a cautious guess."""
        known = [n for n in (self._context_said, self._context_set) if n]
        return min(known, default=_DEFAULT_CONTEXT)

    @property
    def active(self) -> int:
        """1 while the model computes: 0 soon after every stream has ended or was closed."""
        return int(self._now.is_set())

    def load(self, report: Callable[[str, float], None] | None = None) -> None:
        """Imports torch and loads the model; a second call does nothing.

        Raises:
            ModelUnavailable: it is not there, or is not a causal language model with safetensors weights.
        """
        say = report or (lambda _text, _fraction: None)
        with self._lock:
            if self._model is None:
                self._load(say)
        say("ready", 1.0)

    def close(self) -> None:
        """Ends the thread and frees the model."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            if (current := self._current) is not None:
                current.cancelled.set()
            self._inbox.put(None)
            thread.join()
        self._model = self._tokenizer = self._draft = self._amateur = None

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exactly, chat template included. Loads the model if it is not."""
        self.load()
        return len(self._encode(messages))

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        refuse_tools(tools, self.name)
        check_request(messages, params)
        request = _Request(messages=messages, params=params, channel=Channel())
        self._start()
        self._inbox.put(request)
        try:
            while True:
                event = await request.channel.get()
                if isinstance(event, OpenbookError):
                    raise event
                yield event
                if isinstance(event, LMDone):
                    return
        finally:
            request.cancelled.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="transformers-lm", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (request := self._inbox.get()) is not None:
            if request.cancelled.is_set():
                continue
            self._current = request
            self._now.set()
            try:
                self.load()
                self._answer(request)
            except _Cancelled:
                pass  # nobody listens
            except OpenbookError as e:
                request.channel.put(e)
            except Exception as e:  # noqa: BLE001 (whatever torch raises ends this request, not the thread)
                _log.exception("%s failed", self.name)
                request.channel.put(ModelUnavailable(f"{self.name} failed: {type(e).__name__}: {e}"))
            finally:
                self._current = None
                self._now.clear()

    def _load(self, say: Callable[[str, float], None]) -> None:
        say("importing torch", 0.1)
        from lm.causal import load_causal, on_this_machine, stop_between_layers, with_adapter

        device = on_this_machine(self._device)
        say("loading the model", 0.3)
        tokenizer, model = load_causal(self._model_name, device, self._dtype, "lm_model")
        if self._adapter is not None:
            model = with_adapter(model, self._adapter)
        draft = self._beside(self._draft_name, tokenizer, device, "lm_draft_model")
        amateur = self._beside(self._amateur_name, tokenizer, device, "lm_amateur_model")
        for each in (model, draft, amateur):
            if each is not None:
                stop_between_layers(each, self._stop_if_cancelled)
        read = [getattr(m.config, "max_position_embeddings", None) for m in (model, draft, amateur) if m is not None]
        limits = (*read, tokenizer.model_max_length)
        self._context_said = min((n for n in limits if n and n < _ANY_LENGTH), default=None)
        self.has_chat_template = bool(tokenizer.chat_template)
        if not self.has_chat_template:
            _log.warning("%s has no chat template: it is a base model and gets a plain completion prompt", self.name)
        self._control_tokens = [t for t in tokenizer.get_added_vocab() if t.strip()]
        self._draft, self._amateur = draft, amateur
        self._tokenizer, self._model = tokenizer, model

    def _beside(self, name: str, tokenizer: Any, device: str, setting: str) -> Any:
        """The model ``name`` that works beside the main one; None if none is named."""
        if not name:
            return None
        from lm.causal import load_causal, speaks_alike

        theirs, model = load_causal(name, device, self._dtype, setting)
        if not speaks_alike(tokenizer, theirs):
            raise ModelUnavailable(
                f"{setting} {name!r} has another vocabulary than {self._model_name!r}: use a smaller model of the same family",
                code="bad-settings",
            )
        return model

    def _stop_if_cancelled(self, *_: Any) -> None:
        if self._current is not None and self._current.cancelled.is_set():
            raise _Cancelled

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        clean = [{"role": m.role, "content": defuse(m.content, self._control_tokens)} for m in messages]
        if self.has_chat_template:
            prompt = self._tokenizer.apply_chat_template(clean, tokenize=False, add_generation_prompt=True)
        else:
            prompt = plain_prompt([Message(role=m.role, content=defuse(m.content)) for m in messages])
        # A chat template writes the special tokens itself.
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=not self.has_chat_template)["input_ids"]
        return ids

    def _answer(self, request: _Request) -> None:
        import torch

        began = time.monotonic()
        params, channel = request.params, request.channel
        ids = self._encode(request.messages)
        room = room_for_answer(self.name, len(ids), self.context_tokens, params.max_tokens)
        detokenizer = Detokenizer(lambda part: self._tokenizer.decode(part, skip_special_tokens=True))
        spoken = Spoken((*params.stop, *(() if self.has_chat_template else PLAIN_STOPS)))
        counted = 0
        last = -1

        def on_token(token: int, logprobs: Sequence[float]) -> bool:
            nonlocal counted, last
            counted += 1
            last = token
            if (said := spoken.feed(detokenizer.feed([token]), logprobs)) is not None:
                channel.put(said)
            return spoken.stopped or request.cancelled.is_set()

        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            if params.seed is None:
                torch.seed()
            else:
                torch.manual_seed(params.seed)
            self._generate(ids, params, room, on_token)
        if request.cancelled.is_set():
            return
        if not spoken.stopped and (said := spoken.end(detokenizer.flush())) is not None:
            channel.put(said)
        ended = spoken.stopped or last in self._end_tokens()
        finish: FinishReason = "stop" if ended else "length"
        usage = Usage(prompt_tokens=len(ids), completion_tokens=counted, duration_s=time.monotonic() - began)
        channel.put(LMDone(finish_reason=finish, usage=usage))

    def _generate(
        self, ids: list[int], params: SamplingParams, room: int, on_token: Callable[[int, Sequence[float]], bool]
    ) -> None:
        """Runs the model until ``on_token`` says stop. It hears of a token and of its log-probability; with beams of no token before
        the last, and of no log-probability."""
        import torch
        import transformers

        from lm.own_logprobs import OwnLogprobs

        beams = params.beams > 1
        drafted = self._draft is not None and _checks_a_draft(params)
        own = None if beams else OwnLogprobs(self._model, len(ids), drafted=drafted)
        prompt = torch.tensor([ids], device=self._model.device)  # (1, n)
        heard = 0

        def hear(said: Any) -> bool:  # (n,), with the prompt
            nonlocal heard
            tokens = said[len(ids) + heard :].tolist()
            logprobs = own.take(tokens) if own is not None else []
            for i, token in enumerate(tokens):
                heard += 1
                if on_token(int(token), logprobs[i : i + 1]):
                    return True
            return False

        def criterion(input_ids: Any, _scores: Any, **_: Any) -> Any:  # (1, n) -> (1,)
            stop = hear(input_ids[0])  # a draft brings several tokens at once
            return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)

        with own or nullcontext():
            found = self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=self._config(params, room),
                logits_processor=transformers.LogitsProcessorList(self._weighed(ids, params)),
                stopping_criteria=transformers.StoppingCriteriaList([] if beams else [criterion]),
                **({"assistant_model": self._draft} if drafted else {}),
            )
        if beams:
            hear(found[0])

    def _config(self, params: SamplingParams, room: int) -> Any:
        import transformers

        sampling: dict[str, Any] = {"do_sample": False, "num_beams": params.beams}
        if params.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k,
                "min_p": params.min_p or None,
            }
        ends = self._end_tokens()
        make_config: Any = transformers.GenerationConfig
        return make_config(
            max_new_tokens=room,
            repetition_penalty=params.repetition_penalty,
            no_repeat_ngram_size=params.no_repeat_ngram,
            eos_token_id=ends or None,
            pad_token_id=self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else (ends or [0])[0],
            **sampling,
        )

    def _weighed(self, ids: list[int], params: SamplingParams) -> list[Any]:
        """What changes the model's choice by a second reading: of the prompt without passages, or by the amateur."""
        from lm.contrast import AmateurContrast, ContextContrast, SecondReading

        found: list[Any] = []
        if params.beams > 1:
            return found  # a second reading follows one hypothesis
        if self._amateur is not None:
            found.append(AmateurContrast(SecondReading(self._amateur, ids), len(ids)))
        if params.contrast > 0 and params.without:
            bare = SecondReading(self._model, self._encode(params.without))
            found.append(ContextContrast(bare, len(ids), params.contrast))
        return found

    def _end_tokens(self) -> list[int]:
        said = self._model.generation_config.eos_token_id
        ends = said if isinstance(said, list) else [said]
        return sorted({e for e in (*ends, self._tokenizer.eos_token_id) if e is not None})


def _checks_a_draft(params: SamplingParams) -> bool:
    """Whether a draft would leave the tokens what they are: greedy, and nothing that depends on who proposes."""
    return params.temperature == 0 and params.beams == 1 and not (params.contrast > 0 and params.without)
