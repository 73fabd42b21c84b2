"""Requests to the ``transformers`` runtime at once against one after the other: ``openbook bench lm-together``.

The same runtime, the same prompts (of different lengths) and as many tokens each, rounds alternating. Without ``--model`` the model is
one of the packaged model's shape with random weights, made in a temporary folder: the compute is the same, the text is not. It
is also said how many answers came out at once as they did alone. The ratio by CPU time holds on a machine that others use, where
that of wall time does not (on a GPU it says nothing).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.lm import STORY, llama_config
from core.types import Completion, Message, SamplingParams
from lm.complete import complete
from lm.transformers import TransformersLM
from models.packaged import SMOLLM2, verify


def made_up(folder: Path) -> Path:
    """A model of the packaged one's shape with random weights, and a tokenizer of bytes, as a hub has them."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    config = llama_config(verify(SMOLLM2) / SMOLLM2.main_file)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*letters, *(f"w{i}" for i in range(config.vocab_size - 256))])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrap: Any = transformers.PreTrainedTokenizerFast
    wrap(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config.eos_token_id = config.bos_token_id = None  # every answer has all of its tokens
    model: Any = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder


class Bench:
    """One model, asked ``n`` questions of ``tokens`` tokens each."""

    def __init__(self, lm: TransformersLM, n: int, tokens: int) -> None:
        self._lm = lm
        self._asks = [[Message(role="user", content=f"{i}. {STORY} {'River. ' * (5 * i % 40)}")] for i in range(n)]
        self._params = SamplingParams(max_tokens=tokens)

    async def _at_once(self) -> list[Completion]:
        return await asyncio.gather(*(complete(self._lm, ask, (), self._params) for ask in self._asks))

    async def _in_turn(self) -> list[Completion]:
        return [await complete(self._lm, ask, (), self._params) for ask in self._asks]

    def timed(self, *, at_once: bool) -> tuple[float, float, list[str]]:
        """Tokens said per second and per second of CPU time, and what was said."""
        began, cpu = time.perf_counter(), time.process_time()
        answers = asyncio.run(self._at_once() if at_once else self._in_turn())
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        said = sum(a.usage.completion_tokens for a in answers)
        return said / seconds, said / cpu_s, [a.text for a in answers]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench lm-together", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="", help="hub name or folder; without it, the packaged shape at random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--requests", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own choice")
    options = parser.parse_args(argv)

    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with ExitStack() as stack:
        name = options.model or str(made_up(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        lm = TransformersLM(name, device=options.device, dtype=options.dtype, together=max(options.requests))
        stack.callback(lm.close)
        lm.load()
        Bench(lm, 2, 8).timed(at_once=True)  # the first pass of a process is slow
        called = options.model or f"random weights of the shape of {SMOLLM2.name}"
        print(f"{called}, {options.tokens} tokens an answer, median of {options.rounds} rounds")
        print(
            f"{'requests':>8}{'in turn, tokens/s':>20}{'at once, tokens/s':>20}{'ratio':>8}{'by CPU time':>13}{'the same as alone':>20}"
        )
        for n in options.requests:
            _row(Bench(lm, n, options.tokens), n, options.rounds)
    return 0


def _row(bench: Bench, n: int, rounds: int) -> None:
    turns, onces, cpu, same = [], [], [], n
    for _ in range(rounds):
        speed, by_cpu, alone = bench.timed(at_once=False)
        turns.append(speed)
        speed, by_cpu_at_once, together = bench.timed(at_once=True)
        onces.append(speed)
        cpu.append(by_cpu_at_once / by_cpu)
        same = min(same, sum(a == b for a, b in zip(alone, together, strict=True)))
    one, many, ratio = map(statistics.median, (turns, onces, cpu))
    print(f"{n:>8}{one:>20.1f}{many:>20.1f}{many / one:>8.2f}{ratio:>13.2f}{f'{same} of {n}':>20}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
