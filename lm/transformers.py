"""A language model in this process through transformers: any causal LM by name or path, on CUDA or CPU.

One thread owns the model and answers one request after the other. torch and transformers are imported by ``load``.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import ModelUnavailable, OpenbookError
from core.events import LMDone, LMEvent, TextDelta
from core.offload import Channel
from core.types import FinishReason, Message, SamplingParams, ToolSpec, Usage
from lm.chat import PLAIN_STOPS, check_request, defuse, plain_prompt, refuse_tools, room_for_answer
from lm.detokenize import Detokenizer
from lm.stopping import StopScanner

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

    Raises (from ``stream``):
        InvalidRequest: tools were given, or a parameter is out of range.
        TooLarge: the prompt leaves no room for an answer, code "prompt-too-long".
        ModelUnavailable: it cannot be loaded, or failed.
    """

    native_tools = False

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        context_tokens: int | None = None,
    ) -> None:
        self._model_name = model
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
        return f"transformers:{self._model_name}"

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
        self._model = self._tokenizer = None

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
        import torch
        import transformers

        device = self._device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = self._dtype
        if dtype == "auto" and device == "cpu":
            dtype = "float32"
        say("loading the model", 0.3)
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(self._model_name)
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                self._model_name, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError, ImportError) as e:
            text = " ".join(str(e).split())[:300]
            raise ModelUnavailable(
                f"cannot load {self._model_name!r}: {text}; lm_model is a hub name or the folder of a causal language"
                " model with safetensors weights"
            ) from e
        model.to(device).eval()
        # A cancel must end the reading of a long prompt too, so each layer asks before it begins.
        for part in model.modules():
            if isinstance(part, torch.nn.ModuleList):
                for layer in part:
                    layer.register_forward_pre_hook(self._stop_if_cancelled)
        limits = (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length)
        self._context_said = min((n for n in limits if n and n < _ANY_LENGTH), default=None)
        self.has_chat_template = bool(tokenizer.chat_template)
        if not self.has_chat_template:
            _log.warning("%s has no chat template: it is a base model and gets a plain completion prompt", self.name)
        self._control_tokens = [t for t in tokenizer.get_added_vocab() if t.strip()]
        self._tokenizer, self._model = tokenizer, model

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
        scanner = StopScanner((*params.stop, *(() if self.has_chat_template else PLAIN_STOPS)))
        counted = 0

        def on_token(token: int) -> bool:
            nonlocal counted
            counted += 1
            if text := scanner.feed(detokenizer.feed([token])):
                channel.put(TextDelta(text=text))
            return scanner.stopped or request.cancelled.is_set()

        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            if params.seed is None:
                torch.seed()
            else:
                torch.manual_seed(params.seed)
            last = self._generate(ids, params, room, on_token)
        if request.cancelled.is_set():
            return
        if not scanner.stopped and (text := scanner.feed(detokenizer.flush()) + scanner.flush()):
            channel.put(TextDelta(text=text))
        ended = scanner.stopped or last in self._end_tokens()
        finish: FinishReason = "stop" if ended else "length"
        usage = Usage(prompt_tokens=len(ids), completion_tokens=counted, duration_s=time.monotonic() - began)
        channel.put(LMDone(finish_reason=finish, usage=usage))

    def _generate(self, ids: list[int], params: SamplingParams, room: int, on_token: Callable[[int], bool]) -> int:
        """Runs the model until ``on_token`` says stop; returns the last token."""
        import torch
        import transformers

        sampling: dict[str, Any] = {"do_sample": False}
        if params.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k,
            }
        ends = self._end_tokens()
        make_config: Any = transformers.GenerationConfig
        config = make_config(
            max_new_tokens=room,
            repetition_penalty=params.repetition_penalty,
            eos_token_id=ends or None,
            pad_token_id=self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else (ends or [0])[0],
            **sampling,
        )
        stop = False
        last = -1

        def criterion(input_ids: Any, _scores: Any, **_: Any) -> Any:  # (1, n) -> (1,)
            nonlocal stop, last
            last = int(input_ids[0, -1])
            stop = on_token(last)
            return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)

        prompt = torch.tensor([ids], device=self._model.device)  # (1, n)
        self._model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            generation_config=config,
            stopping_criteria=transformers.StoppingCriteriaList([criterion]),
        )
        return last

    def _end_tokens(self) -> list[int]:
        said = self._model.generation_config.eos_token_id
        ends = said if isinstance(said, list) else [said]
        return sorted({e for e in (*ends, self._tokenizer.eos_token_id) if e is not None})
