"""Language model runtimes against plain transformers, on the same model, in one run: ``python -m bench.lm``.

The peer is transformers' own ``generate`` in float32, with the same GGUF file if the packages ``gguf`` and
``accelerate`` are installed, and else with random weights of the same shape: the compute is equal, the text is not.
Runs alternate, and each number is the median of its rounds. Tokens per second of CPU time are shown too: on a machine
that others use they hold where wall time does not (with more than one thread they include the threads' waiting).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.events import LMDone, TextDelta
from core.types import Message, SamplingParams
from lm.complete import complete
from lm.gguf import read_metadata
from lm.openvino import OpenVinoLM
from models.packaged import SMOLLM2, verify

DECODE_TOKENS = 60
PREFILL_WORDS = 900  # a word is about one token: what a question with eight passages has
STORY = "Tell me a long story about a river, the people on its banks and what became of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    first_token_s: float  # of a short prompt
    decode_per_s: float  # tokens after the first
    prefill_per_s: float  # prompt tokens until the first one is said
    decode_per_cpu_s: float  # the same, by CPU time of the process that holds the model
    prefill_per_cpu_s: float


class Ours:
    """OpenVinoLM as the server runs it: its own process, streamed."""

    def __init__(self, cache_dir: Path, threads: int) -> None:
        self.lm = OpenVinoLM(verify(SMOLLM2), cache_dir=cache_dir, threads=threads)

    async def timed(self, prompt: str, max_tokens: int) -> tuple[float, float, int, int]:
        """Seconds to the first text and to the end, tokens of prompt and answer."""
        began = time.perf_counter()
        first = 0.0
        params = SamplingParams(max_tokens=max_tokens)
        async for event in self.lm.stream([Message(role="user", content=prompt)], (), params):
            match event:
                case TextDelta() if not first:
                    first = time.perf_counter() - began
                case LMDone():
                    usage = event.usage
        return first, time.perf_counter() - began, usage.prompt_tokens, usage.completion_tokens

    def round(self, number: int) -> Round:
        # Another beginning each time: a prompt seen before would be read from the cache.
        long = f"{number} " + " ".join(f"river {number}" for _ in range(PREFILL_WORDS // 2))
        cpu = [_cpu_s(self.lm.pid)]
        first, whole, _, n = asyncio.run(self.timed(f"{number}: {STORY}", DECODE_TOKENS))
        cpu.append(_cpu_s(self.lm.pid))
        long_first, _, prompt_tokens, _ = asyncio.run(self.timed(long, 1))
        cpu.append(_cpu_s(self.lm.pid))
        return Round(
            first_token_s=first,
            decode_per_s=(n - 1) / (whole - first),
            prefill_per_s=prompt_tokens / long_first,
            decode_per_cpu_s=n / (cpu[1] - cpu[0]),
            prefill_per_cpu_s=prompt_tokens / (cpu[2] - cpu[1]),
        )

    def together(self, n: int) -> float:
        """Tokens per second over ``n`` requests at once."""

        async def scene() -> float:
            asked = [
                complete(self.lm, [Message(role="user", content=f"{i}. {STORY}")], (), SamplingParams(max_tokens=60))
                for i in range(n)
            ]
            began = time.perf_counter()
            answers = await asyncio.gather(*asked)
            return sum(a.usage.completion_tokens for a in answers) / (time.perf_counter() - began)

        return asyncio.run(scene())


class Peer:
    """transformers.generate, float32, in this process."""

    def __init__(self, gguf_file: Path, threads: int) -> None:
        import torch
        import transformers

        torch.set_num_threads(threads)
        self._torch = torch
        if all(map(importlib.util.find_spec, ("gguf", "accelerate"))):
            self.weights = "the same GGUF file"
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                str(gguf_file.parent), gguf_file=gguf_file.name, dtype=torch.float32
            )
        else:
            self.weights = "random weights of the same shape (the packages gguf and accelerate are not installed)"
            model = transformers.LlamaForCausalLM(llama_config(gguf_file))
        self._model = model.eval()

    def _timed(self, prompt_tokens: int, max_tokens: int) -> tuple[float, float]:
        torch = self._torch
        from transformers.generation.streamers import BaseStreamer

        times: list[float] = []

        class Clock(BaseStreamer):
            def put(self, value: Any) -> None:
                times.append(time.perf_counter())

            def end(self) -> None:
                """The last token was put already."""

        ids = torch.randint(1000, 40_000, (1, prompt_tokens))
        began = time.perf_counter()
        with torch.inference_mode():
            self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                min_new_tokens=max_tokens,
                do_sample=False,
                pad_token_id=0,
                streamer=Clock(),
            )
        return times[1] - began, times[-1] - began  # the first that is put is the prompt

    def round(self, _number: int) -> Round:
        cpu = [time.process_time()]
        first, whole = self._timed(45, DECODE_TOKENS)
        cpu.append(time.process_time())
        long_first, _ = self._timed(PREFILL_WORDS, 1)
        cpu.append(time.process_time())
        return Round(
            first_token_s=first,
            decode_per_s=(DECODE_TOKENS - 1) / (whole - first),
            prefill_per_s=PREFILL_WORDS / long_first,
            decode_per_cpu_s=DECODE_TOKENS / (cpu[1] - cpu[0]),
            prefill_per_cpu_s=PREFILL_WORDS / (cpu[2] - cpu[1]),
        )


def llama_config(gguf_file: Path) -> Any:
    import transformers

    said = read_metadata(gguf_file)
    make: Any = transformers.LlamaConfig
    return make(
        vocab_size=49_152,
        hidden_size=said["llama.embedding_length"],
        intermediate_size=said["llama.feed_forward_length"],
        num_hidden_layers=said["llama.block_count"],
        num_attention_heads=said["llama.attention.head_count"],
        num_key_value_heads=said["llama.attention.head_count_kv"],
        max_position_embeddings=said["llama.context_length"],
        tie_word_embeddings=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench lm", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--together", type=int, default=4, help="requests at once, of ours")
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache" / "openbook")
    options = parser.parse_args(argv)

    ours = Ours(options.cache_dir, options.threads)
    began = time.perf_counter()
    ours.lm.load()
    load_s = time.perf_counter() - began
    idle_mb = _memory_mb(ours.lm.pid)
    gguf_file = verify(SMOLLM2) / SMOLLM2.main_file
    peer = Peer(gguf_file, options.threads)
    try:
        for warm in (ours, peer):
            warm.round(-1)
        rounds: dict[str, list[Round]] = {"ours": [], "peer": []}
        for number in range(options.rounds):
            rounds["ours"].append(ours.round(number))
            rounds["peer"].append(peer.round(number))
            print(f"round {number + 1}: {rounds['ours'][-1]} / {rounds['peer'][-1]}", file=sys.stderr)
        alone = [ours.together(1) for _ in range(options.rounds)]
        batched = [ours.together(options.together) for _ in range(options.rounds)]
        used_mb = _memory_mb(ours.lm.pid)
    finally:
        ours.lm.close()

    print(
        f"{SMOLLM2.name}, {options.threads} threads, {options.rounds} rounds; transformers float32 with {peer.weights}"
    )
    print(f"{'':28}{'openvino':>20}{'transformers':>20}{'ratio':>8}")
    _row("decode, tokens/s", rounds, lambda r: r.decode_per_s, larger_is_better=True)
    _row("prefill, tokens/s", rounds, lambda r: r.prefill_per_s, larger_is_better=True)
    _row("decode, tokens/CPU s", rounds, lambda r: r.decode_per_cpu_s, larger_is_better=True)
    _row("prefill, tokens/CPU s", rounds, lambda r: r.prefill_per_cpu_s, larger_is_better=True)
    _row("first token, ms", rounds, lambda r: 1000 * r.first_token_s, larger_is_better=False)
    one, many = statistics.median(alone), statistics.median(batched)
    print(f"{f'{options.together} requests at once, tokens/s':28}{many:20.0f}{one:>12.0f} (alone){many / one:8.2f}")
    print(f"load {load_s:.1f} s; memory of its process {idle_mb:.0f} MB idle, {used_mb:.0f} MB after the run")
    return 0


def _row(label: str, rounds: dict[str, list[Round]], of: Callable[[Round], float], *, larger_is_better: bool) -> None:
    best = max if larger_is_better else min
    mine, theirs = ([of(r) for r in rounds[who]] for who in ("ours", "peer"))
    a, b = statistics.median(mine), statistics.median(theirs)
    ratio = a / b if larger_is_better else b / a
    shown = [f"{m:.0f} (best {best(values):.0f})" for m, values in ((a, mine), (b, theirs))]
    print(f"{label:28}{shown[0]:>20}{shown[1]:>20}{ratio:8.2f}")


def _cpu_s(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _memory_mb(pid: int | None) -> float:
    return psutil.Process(pid).memory_info().rss / 2**20 if pid is not None else 0.0


if __name__ == "__main__":
    sys.exit(main())
