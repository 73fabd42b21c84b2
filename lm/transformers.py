"""A language model in this process through transformers: any causal LM by name or path, on CUDA or CPU.

One thread owns the model and writes several answers side by side (``lm.turns``, ``lm.batch``). torch and transformers are imported by
``load``.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidRequest, ModelUnavailable, OpenbookError
from core.events import LMDone, LMEvent
from core.offload import Channel
from core.types import Message, SamplingParams, ToolSpec
from lm.answering import Request
from lm.chat import check_request, refuse_tools
from lm.schemas import as_regex
from lm.turns import Turns

if TYPE_CHECKING:
    from lm.causal import DType
    from lm.loaded import Loaded

_log = logging.getLogger(__name__)
_DEFAULT_CONTEXT = 2048  # of a model whose configuration does not say
_ANY_LENGTH = 10**9  # tokenizers without a limit say 1e30


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
        together: answers that are written side by side; further requests wait. Beams, contrasts and drafts are written alone, and so
            is everything by a model whose caches cannot be laid side by side (``lm.batch.batches``).

    Text comes with the log-probabilities of its tokens under the model itself (``lm.own_logprobs``), but not from beams, of which
    none is known to win before the end.

    Answers are written by ``SamplingParams.regex`` and ``schema`` (``lm.forms``), those written alone too.

    Raises:
        InvalidRequest: both a draft and an amateur.
    Raises (from ``stream``):
        InvalidRequest: tools were given, or a parameter is out of range.
        TooLarge: the prompt leaves no room for an answer, code "prompt-too-long".
        ModelUnavailable: it cannot be loaded, or failed.
    """

    native_tools = False
    contrasting = True
    constrained = True
    structured = True
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
        together: int = 8,
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
        self._device = device
        self._dtype = dtype
        self._context_set = context_tokens
        self._together = together
        self._lock = threading.Lock()
        self._load_lock = threading.Lock()  # another one: whoever asks while it loads must not wait here
        self._loaded: Loaded | None = None
        self._turns: Turns | None = None
        self._thread: threading.Thread | None = None
        self.has_chat_template: bool | None = None  # known when loaded; without one a plain completion prompt is used

    @property
    def name(self) -> str:
        adapter = f"+{self._adapter.name}" if self._adapter is not None else ""
        amateur = f"-{self._amateur_name}" if self._amateur_name else ""
        return f"transformers:{self._model_name}{adapter}{amateur}"

    @property
    def context_tokens(self) -> int:
        """Known when loaded; before that what was set, or a cautious guess."""
        loaded = self._loaded
        return loaded.context_tokens if loaded is not None else self._context_set or _DEFAULT_CONTEXT

    @property
    def thinks(self) -> bool:
        """By what its chat template says; False before it is loaded."""
        loaded = self._loaded
        return loaded is not None and loaded.thinks

    @property
    def active(self) -> int:
        """Requests at work: 0 soon after every stream has ended or was closed."""
        turns = self._turns
        return turns.active if turns is not None else 0

    def load(self, report: Callable[[str, float], None] | None = None) -> None:
        """Imports torch and loads the model; a second call does nothing.

        Raises:
            ModelUnavailable: it is not there, or is not a causal language model with safetensors weights.
        """
        self._load_once(report)
        if report is not None:
            report("ready", 1.0)

    def close(self) -> None:
        """Ends the thread and frees the model. Who is being answered, or waits, is told."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None and self._turns is not None:
            self._turns.end()
            thread.join()
        self._loaded = None

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exactly, chat template included. Loads the model if it is not."""
        return len(self._load_once().encode(messages))

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        refuse_tools(tools, self.name)
        check_request(messages, params)
        request = Request(messages=messages, params=as_regex(params), channel=Channel())
        self._started().ask(request)
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

    def _started(self) -> Turns:
        with self._lock:
            if self._turns is None or self._thread is None:
                self._turns = Turns(self.name, self._load_once, self._together)
                self._thread = threading.Thread(target=self._turns.run, name="transformers-lm", daemon=True)
                self._thread.start()
            return self._turns

    def _load_once(self, report: Callable[[str, float], None] | None = None) -> Loaded:
        with self._load_lock:
            if self._loaded is None:
                self._loaded = self._load(report or (lambda _text, _fraction: None))
            return self._loaded

    def _load(self, say: Callable[[str, float], None]) -> Loaded:
        say("importing torch", 0.1)
        from lm.alone import Alone
        from lm.batch import Batch, batches, budget_tokens
        from lm.causal import load_causal, on_this_machine, stop_between_layers, with_adapter
        from lm.loaded import Loaded, end_tokens
        from lm.vocabulary import vocabulary_of

        device = on_this_machine(self._device)
        say("loading the model", 0.3)
        tokenizer, model = load_causal(self._model_name, device, self._dtype, "lm_model")
        if self._adapter is not None:
            model = with_adapter(model, self._adapter)
        draft = self._beside(self._draft_name, tokenizer, device, "lm_draft_model")
        amateur = self._beside(self._amateur_name, tokenizer, device, "lm_amateur_model")
        for each in (model, draft, amateur):
            if each is not None:
                stop_between_layers(each, self._stop_if_given_up)
        read = [getattr(m.config, "max_position_embeddings", None) for m in (model, draft, amateur) if m is not None]
        limits = (*read, tokenizer.model_max_length, self._context_set)
        self.has_chat_template = bool(tokenizer.chat_template)
        if not self.has_chat_template:
            _log.warning("%s has no chat template: it is a base model and gets a plain completion prompt", self.name)
        side_by_side = batches(model)
        if not side_by_side:
            _log.warning("%s writes one answer after the other: its caches cannot be laid side by side", self.name)
        ends = end_tokens(tokenizer, model)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (ends or [0])[0]
        return Loaded(
            name=self.name,
            tokenizer=tokenizer,
            model=model,
            has_chat_template=self.has_chat_template,
            control_tokens=[t for t in tokenizer.get_added_vocab() if t.strip()],
            context_tokens=min((n for n in limits if n and n < _ANY_LENGTH), default=_DEFAULT_CONTEXT),
            alone=Alone(
                model=model,
                draft=draft,
                amateur=amateur,
                ends=ends,
                pad=pad,
                vocabulary=functools.cache(lambda: vocabulary_of(tokenizer, ends)),
            ),
            batch=Batch(model, budget_tokens(model)) if side_by_side else None,
        )

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

    def _stop_if_given_up(self, *_: object) -> None:
        if (turns := self._turns) is not None:
            turns.stop_if_given_up()
