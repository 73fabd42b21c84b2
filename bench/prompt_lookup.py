"""Speculative decoding by prompt lookup against plain greedy decoding, alternating in one run: ``python -m bench.prompt_lookup``

Plain decoding is asked twice, to see whether it says the same again. The packaged model through openvino-genai, questions of clapnq dev over their own passage (where answers copy from the context). It would be
turned on only if every answer is the same, token for token, and faster. CPU seconds of this process beside seconds, for a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino_genai

from agents.prompts import Prompts
from app.wiring import model_cache_dir
from eval.datasets import load_qa
from lm.openvino_load import find_model, kept_model
from models.packaged import SMOLLM2, verify

DATA = Path(__file__).parents[2] / "shared" / "data" / "clapnq" / "dev.jsonl"
TOKENS, NGRAM, GUESSED = 64, 3, 5


def pipeline(folder: Path, *, lookup: bool) -> Any:
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 256
    return openvino_genai.ContinuousBatchingPipeline(
        str(folder), scheduler, "CPU", {"prompt_lookup": True} if lookup else {}
    )


def answered(pipe: Any, prompt: str, number: int, *, lookup: bool) -> tuple[list[int], float, float]:
    """Tokens, seconds and CPU seconds of one greedy answer."""
    config = pipe.get_config()
    config.max_new_tokens, config.do_sample = TOKENS, False
    if lookup:
        config.num_assistant_tokens, config.max_ngram_size = GUESSED, NGRAM
    tokenizer = pipe.get_tokenizer()
    text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], True)
    ids = tokenizer.encode(text, add_special_tokens=False).input_ids
    began, cpu = time.perf_counter(), time.process_time()
    handle = pipe.add_request(number, ids, config)
    found: list[int] = []
    while pipe.has_non_finished_requests():
        pipe.step()
    for output in handle.read_all():
        found = list(output.generated_ids)
    return found, time.perf_counter() - began, time.process_time() - cpu


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.prompt_lookup", description=__doc__)
    parser.add_argument("--questions", type=int, default=12)
    options = parser.parse_args(argv)
    folder = kept_model(find_model(verify(SMOLLM2)), model_cache_dir() / "lm")
    plain, guessing = pipeline(folder, lookup=False), pipeline(folder, lookup=True)
    samples = [s for s in load_qa(DATA).samples if s.answerable and len(s.contexts[0][1]) < 2500][: options.questions]
    rows = []
    for n, sample in enumerate(samples):
        passage = {"number": 1, "heading": sample.contexts[0][0], "text": sample.contexts[0][1]}
        prompt = Prompts().render("rag_user.j2", mark="DATA", passages=[passage], question=sample.question)
        a = answered(plain, prompt, n, lookup=False)
        b = answered(guessing, prompt, n, lookup=True)
        rows.append((a, b, answered(plain, prompt, len(samples) + n, lookup=False)))
        print(f"{n + 1} of {len(samples)}", end="\r", file=sys.stderr, flush=True)
    same = sum(row[0][0] == row[1][0] for row in rows)
    again = sum(row[0][0] == row[2][0] for row in rows)
    print(f"{same} of {len(rows)} answers are the same, token for token; plain decoding, asked again: {again}")
    print("| | tokens | median s | median CPU s |\n|---|---|---|---|")
    for name, at in (("plain", 0), ("prompt lookup", 1)):
        one = [row[at] for row in rows]
        tokens, seconds, cpu = (
            statistics.median(x) for x in ([len(o[0]) for o in one], *zip(*[o[1:] for o in one], strict=True))
        )
        print(f"| {name} | {tokens:.0f} | {seconds:.1f} | {cpu:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
