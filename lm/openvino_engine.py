"""The process that owns an OpenVINO pipeline: ``python -m lm.openvino_engine``. One thread, one loop.

Why a process: a step of the pipeline holds Python's interpreter lock, and so does reading a tokenizer, for seconds in
all; in the server every other request would stand still meanwhile. See docs/decisions/0020.

Messages are lines of JSON. In:

    {"op": "load", "model": PATH, "cache_dir": PATH or null, "context_tokens": N, "kv_tokens": N, "threads": N}
    {"op": "generate", "id": N, "messages": [{"role", "content"}…], "params": {…}}
    {"op": "count", "id": N, "messages": […]}
    {"op": "cancel", "id": N}

Out: progress (text, fraction), ready (chat_template, thinks), text (id, text, logprobs), done (id, finish_reason, prompt_tokens,
completion_tokens, duration_s, thought), cancelled (id), counted (id, tokens), error (id, code, message; without an id it is
the end of the process). The process ends when its input does, so it never outlives its parent.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelUnavailable, OpenbookError
from core.events import TextDelta
from core.types import Message
from lm.chat import PLAIN_STOPS, defuse, plain_prompt, room_for_answer
from lm.detokenize import Detokenizer
from lm.openvino_load import BLOCK_TOKENS, build_pipeline
from lm.spoken import Spoken
from lm.thinking import Room, begins_in_thought, knows_thought

Say = Callable[[Mapping[str, Any]], None]
_SEED_LIMIT = 2**31
_PIECE_CHARACTERS = 2000  # at most four tokens each, which no context is too small for
_SHARED_BLOCKS = 4  # of the KV cache: from this long a common beginning on it pays to wait for it


@dataclass(slots=True)
class _Request:
    ids: Any  # openvino.Tensor (1, n_tokens)
    config: Any  # openvino_genai.GenerationConfig
    tells: bool  # says its first token as soon as its prompt is read; beams come all at once, at the end
    room: Room
    detokenizer: Detokenizer
    spoken: Spoken
    prompt_tokens: int
    began: float
    handle: Any = None  # openvino_genai.GenerationHandle, once it is let in
    completion_tokens: int = 0

    def is_read_like(self, other: _Request) -> bool:
        """Whether its prompt is being read now and begins as that of ``other``, which has not begun."""
        if self.completion_tokens or not self.tells:
            return False
        mine, theirs = self.ids.data[0], other.ids.data[0]
        n = min(len(mine), len(theirs))
        differ = (mine[:n] != theirs[:n]).nonzero()[0]
        return (int(differ[0]) if len(differ) else n) >= _SHARED_BLOCKS * BLOCK_TOKENS


class Engine:
    """Steps the pipeline while there are requests and says what comes of them.

    A request whose prompt begins as one does that is being read waits until that is read: then the beginning is in the
    prefix cache, and ten samples of one prompt cost one reading. The pipeline itself shares only what was read before a
    request came. See docs/decisions/0260.
    """

    def __init__(self, pipeline: Any, name: str, context_tokens: int, say: Say) -> None:
        self._pipeline = pipeline
        self._tokenizer = pipeline.get_tokenizer()
        self._name = name
        self._context_tokens = context_tokens
        self._say = say
        self._requests: dict[int, _Request] = {}
        self._held: dict[int, _Request] = {}  # in the order in which they came
        special = (self._tokenizer.get_bos_token(), self._tokenizer.get_eos_token(), self._tokenizer.get_pad_token())
        self._control_tokens = [t for t in special if t]
        self.has_template = bool(self._tokenizer.chat_template)
        self.thinks = self.has_template and knows_thought(str(self._tokenizer.chat_template))

    @property
    def busy(self) -> bool:
        return bool(self._requests or self._held)

    def handle(self, message: Mapping[str, Any]) -> None:
        """Acts on one incoming message; what is wrong with a request is said to its sender."""
        number = message["id"]
        try:
            match message["op"]:
                case "generate":
                    self._held[number] = self._prepare(message["messages"], message["params"])
                    self._let_in()
                case "count":
                    self._say(
                        {"event": "counted", "id": number, "tokens": self._count(self._prompt(message["messages"]))}
                    )
                case "cancel":
                    request = self._requests.pop(number, None)
                    if request is not None:
                        self._drop(request)
                    if request is not None or self._held.pop(number, None) is not None:
                        self._say({"event": "cancelled", "id": number})
        except OpenbookError as e:
            self._say({"event": "error", "id": number, "code": e.code, "message": e.message})
        except RuntimeError as e:
            self._refuse(number, e)

    def step(self) -> None:
        """One step for all requests, and the news of each."""
        self._let_in()
        self._pipeline.step()
        for number, request in list(self._requests.items()):
            if self._advance(number, request):
                del self._requests[number]

    def close(self) -> None:
        """Drops what is at work, so that the pipeline ends with nothing allocated."""
        self._held.clear()
        while self._requests:
            self._drop(self._requests.popitem()[1])

    def _let_in(self) -> None:
        for number, request in list(self._held.items()):
            if any(other.is_read_like(request) for other in self._requests.values()):
                continue
            del self._held[number]
            try:
                request.handle = self._pipeline.add_request(number, request.ids, request.config)
            except RuntimeError as e:
                self._refuse(number, e)
            else:
                self._requests[number] = request

    def _refuse(self, number: int, e: RuntimeError) -> None:
        text = f"OpenVINO refused the request: {' '.join(str(e).split())[:300]}"
        self._say({"event": "error", "id": number, "code": ModelUnavailable.code, "message": text})

    def _prepare(self, messages: Sequence[Mapping[str, str]], params: Mapping[str, Any]) -> _Request:
        prompt = self._prompt(messages)
        ids = self._encode(prompt)
        n = self._count_whole(prompt, int(ids.shape[1]))
        alone = params["beams"] == 1  # beams come whole, and are not looked into while they are said
        thought = params["thought_tokens"] if self.thinks and alone else 0
        room = room_for_answer(self._name, n, self._context_tokens, params["max_tokens"], thought)
        stops = [*params["stop"], *(() if self.has_template else PLAIN_STOPS)]
        return _Request(
            ids=ids,
            config=self._config(params, room.most),
            tells=alone,
            room=room,
            detokenizer=Detokenizer(self._tokenizer.decode),
            spoken=Spoken(stops, in_thought=not params["regex"] and begins_in_thought(prompt)),
            prompt_tokens=n,
            began=time.monotonic(),
        )

    def _prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        clean = [{"role": m["role"], "content": defuse(m["content"], self._control_tokens)} for m in messages]
        if self.has_template:
            return str(self._tokenizer.apply_chat_template(clean, True))
        return plain_prompt([Message(role=m["role"], content=m["content"]) for m in clean])  # type: ignore[arg-type]

    def _encode(self, prompt: str) -> Any:  # (1, n_tokens)
        # A chat template writes the special tokens itself.
        return self._tokenizer.encode(prompt, add_special_tokens=not self.has_template).input_ids

    def _count(self, prompt: str) -> int:
        return self._count_whole(prompt, int(self._encode(prompt).shape[1]))

    def _count_whole(self, prompt: str, n: int) -> int:
        """Exact up to the context. Past it the tokenizer silently cuts (whatever max_length and truncation say), so
        the prompt is counted in pieces, which may miss by one token a piece."""
        if n < self._context_tokens:
            return n
        pieces = (prompt[at : at + _PIECE_CHARACTERS] for at in range(0, len(prompt), _PIECE_CHARACTERS))
        return max(n, sum(int(self._encode(piece).shape[1]) for piece in pieces))

    def _config(self, params: Mapping[str, Any], max_tokens: int) -> Any:
        config = self._pipeline.get_config()
        config.max_new_tokens = max_tokens
        config.logprobs = 1  # costs nothing that could be measured
        config.repetition_penalty = params["repetition_penalty"]
        if params["beams"] > 1:
            config.num_beams = params["beams"]
        config.do_sample = params["temperature"] > 0
        if params["regex"]:
            import openvino_genai  # loaded by now, with the pipeline

            config.structured_output_config = openvino_genai.StructuredOutputConfig(regex=params["regex"])
        if config.do_sample:
            config.temperature = params["temperature"]
            config.top_p = params["top_p"]
            config.min_p = params["min_p"]
            if params["top_k"]:
                config.top_k = params["top_k"]
            seed = params["seed"]
            config.rng_seed = random.randrange(_SEED_LIMIT) if seed is None else seed % _SEED_LIMIT
        return config

    def _advance(self, number: int, request: _Request) -> bool:
        """Says what is new of one request; True if it is over."""
        finish, full = "", False
        spoken = request.spoken
        deltas: list[TextDelta | None] = []
        while request.handle.can_read():
            read = request.handle.read().values()
            # Beams come all at once, at the end.
            for output in read if len(read) < 2 else [max(read, key=lambda o: float(o.score))]:
                request.completion_tokens += len(output.generated_ids)
                for token, logprob in zip(output.generated_ids, output.generated_log_probs, strict=True):
                    deltas.append(spoken.feed(request.detokenizer.feed([token]), (float(logprob),)))
                    full = request.room.take(thinking=spoken.thinking)
                if output.finish_reason.name != "NONE":
                    finish = output.finish_reason.name.lower()
        status = request.handle.get_status().name
        if not finish and status == "FINISHED":
            finish = "stop"
        # It has said all that it may, after a thought that was shorter than it might have been.
        if full and not finish and request.completion_tokens < request.room.most:
            self._drop(request)
            finish = "length"
        if finish:
            deltas.append(spoken.feed(request.detokenizer.flush()))
        if spoken.stopped:
            if not finish:
                self._drop(request)
            finish = "stop"
        elif finish:
            deltas.append(spoken.end())
        if said := [d for d in deltas if d is not None]:
            text, logprobs = "".join(d.text for d in said), [x for d in said for x in d.logprobs]
            self._say({"event": "text", "id": number, "text": text, "logprobs": logprobs})
        if finish:
            self._say(
                {
                    "event": "done",
                    "id": number,
                    "finish_reason": "length" if finish == "length" else "stop",
                    "prompt_tokens": request.prompt_tokens,
                    "completion_tokens": request.completion_tokens,
                    "duration_s": time.monotonic() - request.began,
                    "thought": spoken.thought,
                }
            )
            return True
        if status in ("IGNORED", "CANCEL", "STOP"):
            text = f"{self._name} ran out of memory for {len(self._requests)} requests at once: try again"
            self._say({"event": "error", "id": number, "code": "busy", "message": text})
            return True
        return False

    def _drop(self, request: _Request) -> None:
        request.handle.cancel()
        # A step clears it away; when others are at work the next one does.
        if not self._requests and self._pipeline.has_non_finished_requests():
            self._pipeline.step()


class _Input:
    """Lines from a file descriptor, with and without waiting."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.ended = False

    def read(self, *, wait: bool) -> list[dict[str, Any]]:
        lines: list[bytes] = []
        while not self.ended and select.select([self._fd], [], [], None if wait and not lines else 0)[0]:
            data = os.read(self._fd, 1 << 16)
            self.ended = not data
            *more, self._rest = (self._rest + data).split(b"\n")
            lines += more
        return [json.loads(line) for line in lines]


def main() -> int:
    # Ctrl-C goes to the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A library that prints must not write among the messages.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    try:
        return _serve(_Input(0), say)
    except BrokenPipeError:
        return 0  # the parent has gone
    except OpenbookError as e:
        say({"event": "error", "code": e.code, "message": e.message})
    except Exception as e:  # noqa: BLE001 (this is the end of the process, and the parent is told why)
        say({"event": "error", "code": ModelUnavailable.code, "message": f"OpenVINO failed: {type(e).__name__}: {e}"})
    return 1


def _serve(source: _Input, say: Say) -> int:
    waiting = source.read(wait=True)
    if not waiting:
        return 0
    how = waiting.pop(0)
    cache_dir = None if how["cache_dir"] is None else Path(how["cache_dir"])

    def report(text: str, fraction: float) -> None:
        say({"event": "progress", "text": text, "fraction": fraction})

    model = Path(how["model"])
    pipeline = build_pipeline(model, cache_dir, how["kv_tokens"], how["threads"], report)
    engine = Engine(pipeline, how["name"], how["context_tokens"], say)
    say({"event": "ready", "chat_template": engine.has_template, "thinks": engine.thinks})
    while not source.ended:
        # What was given up before its turn is not begun: under load that would be most of the work.
        given_up = {m["id"] for m in waiting if m["op"] == "cancel"}
        for message in waiting:
            if message["op"] == "generate" and message["id"] in given_up:
                say({"event": "cancelled", "id": message["id"]})
            else:
                engine.handle(message)
        if engine.busy:
            engine.step()
        waiting = source.read(wait=not engine.busy)
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
