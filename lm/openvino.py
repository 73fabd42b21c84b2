"""A language model on the CPU through openvino-genai: any GGUF file or OpenVINO folder.

The model lives in a process of its own (``lm.openvino_engine``), which batches the requests of all streams; this
side speaks to it and holds no weights.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.errors import Busy, InvalidRequest, ModelUnavailable, OpenbookError, TooLarge
from core.events import LMDone, LMEvent, TextDelta
from core.offload import Channel
from core.types import Message, SamplingParams, ToolSpec, Usage
from lm.chat import check_request, refuse_tools
from lm.child import Child
from lm.gguf import context_length
from lm.openvino_load import find_model
from lm.schemas import as_regex


class OpenVinoLM:
    """Streams from ``model``: a .gguf file, or a folder with OpenVINO files or one .gguf file.

    Nothing is loaded before ``load`` or the first request. If the process dies, the requests of that moment fail with
    ModelUnavailable and the next one starts it again. Thread-safe; its streams may belong to different event loops.

    Text comes with the log-probabilities of its tokens under the model's own distribution, before temperature, top-k, top-p and
    penalties (docs/decisions/0210).

    Args:
        model: see above.
        cache_dir: where a converted copy is kept, which halves the time to start; None keeps none.
        context_tokens: prompt and answer together; never more than the model says or ``kv_tokens``.
        kv_tokens: size of the attention cache, shared by all requests (SmolLM2-135M: 13.7 kB a token).
        threads: 0 lets OpenVINO choose.

    Raises (from ``stream``):
        InvalidRequest: tools were given (no native tool calls), or a parameter is out of range.
        TooLarge: the prompt leaves no room for an answer, code "prompt-too-long".
        ModelUnavailable: it cannot be loaded, or its process ended.
    """

    native_tools = False
    logprobs = True

    def __init__(
        self,
        model: Path,
        *,
        cache_dir: Path | None = None,
        context_tokens: int | None = None,
        kv_tokens: int = 16_384,
        threads: int = 0,
    ) -> None:
        self._path = model
        self._cache_dir = cache_dir
        self._context_tokens = context_tokens
        self._kv_tokens = kv_tokens
        self._threads = threads
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._grammar_failed = False
        self._loading = _Loading()

    @functools.cached_property
    def _model(self) -> Path:
        return find_model(self._path)

    @functools.cached_property
    def name(self) -> str:
        return f"openvino:{self._model.stem}"

    @functools.cached_property
    def context_tokens(self) -> int:
        said = _context_of(self._model)
        if said is None and self._context_tokens is None:
            raise ModelUnavailable(f"{self._model} does not say how many tokens it holds: set lm_context_tokens")
        return min(n for n in (said, self._context_tokens, self._kv_tokens) if n is not None)

    @property
    def constrained(self) -> bool:
        """Whether answers are written by ``SamplingParams.regex``: until the process has died of one."""
        return not self._grammar_failed

    @property
    def structured(self) -> bool:
        """The same of ``SamplingParams.schema``, which is written by the expression that it comes to."""
        return self.constrained

    @property
    def has_chat_template(self) -> bool | None:
        """None until it is loaded. Without one the model gets a plain completion prompt."""
        return self._loading.has_chat_template

    @property
    def thinks(self) -> bool:
        """By what its chat template says; False before it is loaded."""
        return self._loading.thinks

    @property
    def active(self) -> int:
        """Requests that the process still works on: 0 soon after every stream has ended or was closed."""
        child = self._child
        return child.open_exchanges if child is not None else 0

    @property
    def pid(self) -> int | None:
        """Of the process that holds the model, for measuring it."""
        child = self._child
        return child.pid if child is not None and not child.gone else None

    def load(self, report: Callable[[str, float], None] | None = None) -> None:
        """Starts the process and waits until it can answer.

        Args:
            report: hears what is being done and how far it is, from 0 to 1.

        Raises:
            ModelUnavailable: the model is absent, or OpenVINO cannot load it.
        """
        self._started()
        loading = self._loading
        while (news := loading.news.get()) is not None:
            if report is not None:
                report(*news)
        loading.news.put(None)  # for another thread that waits, or for the next call
        if loading.failure is not None:
            raise loading.failure
        if report is not None:
            report("ready", 1.0)

    def close(self) -> None:
        """Ends the process. A later request would start it again."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.close()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exactly, chat template included. Waits for the process: until it is loaded, then at most for one step."""
        answers: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._started().ask({"op": "count", "messages": _as_dicts(messages)}, answers.put)
        answer = answers.get()
        if answer["event"] != "counted":
            raise self._error(answer)
        return int(answer["tokens"])

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        refuse_tools(tools, self.name)
        check_request(messages, params)
        params = as_regex(params)
        if self._grammar_failed:
            params = replace(params, regex="")
        channel: Channel[Mapping[str, Any]] = Channel()
        child = self._started()
        given = asdict(replace(params, without=()))  # which this runtime does not heed
        number = child.ask({"op": "generate", "messages": _as_dicts(messages), "params": given}, channel.put)
        ended = False
        try:
            while not ended:
                message = await channel.get()
                match message["event"]:
                    case "text":
                        yield TextDelta(text=message["text"], logprobs=tuple(message["logprobs"]))
                    case "done":
                        ended = True
                        usage = Usage(
                            prompt_tokens=message["prompt_tokens"],
                            completion_tokens=message["completion_tokens"],
                            duration_s=message["duration_s"],
                        )
                        yield LMDone(finish_reason=message["finish_reason"], usage=usage, thought=message["thought"])
                    case _:
                        ended = True
                        # A form that the engine cannot compile breaks its every step: the next process gets none.
                        self._grammar_failed = self._grammar_failed or bool(params.regex and message["event"] == "gone")
                        raise self._error(message)
        finally:
            if not ended:
                child.send({"op": "cancel", "id": number})

    def _started(self) -> Child:
        """The process, begun if there is none; what is asked while it loads is answered after."""
        with self._lock:
            if self._child is not None and not self._child.gone:
                return self._child
            context_tokens = self.context_tokens  # raises if the model is not there
            self._loading = _Loading()
            child = Child("lm.openvino_engine", self._loading.hear)
            child.send(
                {
                    "op": "load",
                    "name": self.name,
                    "model": str(self._model.resolve()),
                    "cache_dir": None if self._cache_dir is None else str(self._cache_dir.resolve()),
                    "context_tokens": context_tokens,
                    "kv_tokens": self._kv_tokens,
                    "threads": self._threads,
                }
            )
            self._child = child
            return child

    def _error(self, message: Mapping[str, Any]) -> OpenbookError:
        if message["event"] == "gone" and self._loading.failure is not None:
            return self._loading.failure
        return _as_error(message)


class _Loading:
    """What one process says of itself while it loads."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()  # None: it is over
        self.failure: OpenbookError | None = None
        self.has_chat_template: bool | None = None
        self.thinks = False

    def hear(self, message: Mapping[str, Any]) -> None:
        match message["event"]:
            case "progress":
                self.news.put((message["text"], message["fraction"]))
            case "ready":
                self.has_chat_template, self.thinks = message["chat_template"], message["thinks"]
                self.news.put(None)
            case _:
                self.failure = self.failure or _as_error(message)
                self.news.put(None)


def _as_error(message: Mapping[str, Any]) -> OpenbookError:
    if message["event"] == "gone":
        return ModelUnavailable(
            f"the process of the language model ended (exit code {message['exit_code']}):"
            " the next request starts it again"
        )
    code, text = message["code"], message["message"]
    match code:
        case "busy":
            return Busy(text)
        case "prompt-too-long":
            return TooLarge(text, code=code)
        case "invalid-request":
            return InvalidRequest(text)
    return ModelUnavailable(text, code=code)


def _as_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]


def _context_of(model: Path) -> int | None:
    """What the model's files say, if they do; raises ModelUnavailable if they cannot be read."""
    if model.is_file():
        return context_length(model)
    config = model / "config.json"
    if not config.exists():
        return None
    try:
        found = json.loads(config.read_text("utf-8")).get("max_position_embeddings")
    except (OSError, ValueError) as e:
        raise ModelUnavailable(f"cannot read {config}: {e}", code="model-damaged") from e
    return found if isinstance(found, int) else None
