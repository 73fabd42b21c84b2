"""Mines the groups that the cross-encoder and the encoder are trained on: one command, the same seed, the same files.

    openbook bench mine-pairs -- --out build/pairs

Train splits alone give groups; dev splits, and one source of documentation that gives no groups, become dev fields. A
group that touches what is measured with is dropped, and counted in manifest.json; ``--check DIR`` looks again at a
folder that is there, prints what it finds and returns 1 if that is anything.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.mining.documentation import documentation
from bench.mining.fields import Field, qa_field, scifact
from bench.mining.leakage import Guard, Overlap, check_groups, overlaps
from bench.mining.negatives import Matcher, Miner, Rules, usable
from core.late_interaction import max_sim
from core.protocols import Encoder, Tokenizer
from core.settings import Settings
from core.types import Vectors
from models.train.pairs import DevQuery, Group, Mined, Passage, read_mined, write_mined
from retrieval.adhoc import build_adhoc

ROOT = Path(__file__).resolve().parent.parent
_FUSED_DEPTH = 200  # as good as a thousand on SciFact train, and a fraction of the time
_STEP = 512  # questions that are encoded together


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="openbook bench mine-pairs --", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, help="the folder to write")
    parser.add_argument("--check", type=Path, metavar="DIR", help="only look for leakage in a folder that is there")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "openbook")
    parser.add_argument("--languages", default="en,de,es", help="of xquad train; zh, ar and hi there are as well")
    parser.add_argument("--passages", type=int, default=40_000, help="of the text collection (default 40000)")
    parser.add_argument("--questions", type=int, default=24_000, help="… to train on (default 24000)")
    parser.add_argument("--held-out", default="python+peps", help="its source that is only measured with")
    parser.add_argument("--dev-questions", type=int, default=200, help="asked of that source")
    parser.add_argument("--negatives", type=int, default=7)
    parser.add_argument("--share", type=float, default=0.95, help="of a positive's score that no negative may reach")
    parser.add_argument("--removed", type=float, default=0.8, help="share of sentences taken out of their section")
    parser.add_argument(
        "--no-late", action="store_true", help="clean and teach without late interaction: half the time"
    )
    parser.add_argument(
        "--kept", type=int, default=6000, help="texts whose token vectors stay in memory, 200 kB each: more is faster"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    if options.check is not None:
        return check(options.check)
    if options.out is None:
        parser.error("--out DIR is needed (or --check DIR)")

    from retrieval.encoders.openvino import OpenVinoEncoder

    encoder = OpenVinoEncoder(cache_dir=options.cache, threads=options.threads)
    encoder.load()
    rules = Rules(share=options.share, n=options.negatives, seed=options.seed, kept=options.kept)
    match = None if options.no_late else mean_max
    started = time.perf_counter()
    mined = mine(fields(options), encoder, options.cache / "vectors", match, rules, how(options))
    write_mined(options.out, mined)
    size = sum(f.stat().st_size for f in options.out.rglob("*.gz"))
    say(f"{len(mined.groups)} groups, {size / 1e6:.1f} MB, {time.perf_counter() - started:.0f} s")
    print(json.dumps({k: mined.manifest[k] for k in ("groups", "pairs", "dev", "dropped", "overlaps")}, indent=1))
    return 0


def fields(options: argparse.Namespace) -> list[Field]:
    """Every set that is there, in a fixed order."""
    data: Path = options.data
    xquad_licence = "CC BY-SA 4.0"
    found = [scifact(data / "scifact")]
    found.append(
        qa_field("clapnq", "Apache-2.0", data / "clapnq/train.jsonl", data / "clapnq/dev.jsonl", measured=True)
    )
    for language in dict.fromkeys((*options.languages.split(","), "de")):
        paths = (data / "xquad" / f"{language}-train.jsonl", data / "xquad" / f"{language}-dev.jsonl")
        measured = language in ("en", "de")
        found.append(qa_field(f"xquad-{language}", xquad_licence, *paths, measured=measured))
    found += documentation(
        data / "text-collection.tar.xz",
        passages=options.passages,
        questions=options.questions,
        held_out=options.held_out,
        dev_questions=options.dev_questions,
        removed=options.removed,
        seed=options.seed,
    )
    return found


def how(options: argparse.Namespace) -> dict[str, Any]:
    """What the manifest says of the command: its options without the machine's own paths."""
    kept = {k: v for k, v in vars(options).items() if k not in ("out", "check", "data", "cache", "threads")}
    return {"command": "openbook bench mine-pairs", "options": kept}


def mine(
    fields: Sequence[Field], encoder: Encoder, cache: Path, match: Matcher | None, rules: Rules, how: dict[str, Any]
) -> Mined:
    """Groups and dev candidates of all fields, without what overlaps.

    Args:
        match: late interaction between the token vectors of a query and of a passage; None goes without.
        how: kept in the manifest.
    """
    guard = Guard(
        ((f"{name}/{q.id}", q.query) for f in fields for name, dev in f.dev.items() for q in dev),
        (
            (f"{name}/{i}", f.passages[i])
            for f in fields
            for name, dev in f.dev.items()
            for q in dev
            for i, grade in q.relevant.items()
            if grade > 0 and i in f.passages
        ),
    )
    passages: dict[str, Passage] = {}
    groups: list[Group] = []
    dev: dict[str, tuple[DevQuery, ...]] = {}
    dropped: Counter[str] = Counter()
    touched: list[Overlap] = []
    for field in fields:
        questions = []
        for q in usable(field.train, field.passages):
            found = list(guard.look(q.id, q.query, [field.passages[i] for i in q.positives]))
            touched += found
            if not found:
                questions.append(q)
        miner = _miner(field, encoder, cache, match, rules, [q.query for q in questions])
        passages.update(field.passages)
        for group, altered in miner.groups(questions, _progress(field.name, len(questions))):
            groups.append(group)
            passages.update((p.id, p) for p in altered)
        for name in field.dev:
            dev[name] = tuple(miner.dev(name))
        dropped.update(miner.dropped)
    check_groups(groups, passages)
    random.Random(rules.seed).shuffle(groups)  # a run over the first part is a run over every field
    manifest = {
        **how,
        "encoder": encoder.revision,
        "rules": asdict(rules),
        "late interaction": match is not None,
        "licences": {f.name: f.licence for f in fields},
        "groups": dict(sorted(Counter(g.field for g in groups).items())),
        "pairs": sum(len(g.positives) + len(g.negatives) for g in groups),
        "dev": {name: len(queries) for name, queries in dev.items()},
        "dropped": dict(dropped),
        "overlaps": dict(Counter(o.kind for o in touched)),
    }
    return Mined(passages=passages, groups=tuple(groups), dev=dev, manifest=manifest)


def _miner(
    field: Field, encoder: Encoder, cache: Path, match: Matcher | None, rules: Rules, queries: Sequence[str]
) -> Miner:
    remembering = Remembering(encoder)
    remembering.remember_queries([*queries, *(q.query for dev in field.dev.values() for q in dev)])
    settings = Settings(fusion_depth=_FUSED_DEPTH)
    corpus = [(p.id, "", p.read_as()) for p in field.passages.values()]
    say(f"{field.name}: {len(corpus)} passages, {len(queries)} questions …")
    retriever = build_adhoc(settings, corpus, remembering, cache, retriever="hybrid", name=field.name)
    remembering.remember_documents([text for _, _, text in corpus], retriever_vectors(remembering, corpus, cache))
    return Miner(field, retriever, remembering, match, rules)


def retriever_vectors(encoder: Encoder, corpus: Sequence[tuple[str, str, str]], cache: Path) -> Vectors:
    from retrieval.vector_cache import encode_cached

    return encode_cached(encoder, [text for _, _, text in corpus], cache)  # encoded just before: read from the cache


class Remembering:
    """An encoder that reads each query and each passage once."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self.dim, self.revision, self.max_tokens = inner.dim, inner.revision, inner.max_tokens
        self.tokenizer: Tokenizer = inner.tokenizer
        self._queries: dict[str, np.ndarray] = {}
        self._documents: dict[str, np.ndarray] = {}

    def remember_queries(self, texts: Sequence[str]) -> None:
        for start in range(0, len(texts), _STEP):
            some = texts[start : start + _STEP]
            self._queries.update(zip(some, self._inner.encode_queries(some), strict=True))

    def remember_documents(self, texts: Sequence[str], vectors: Vectors) -> None:
        self._documents.update(zip(texts, vectors, strict=True))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.remember_queries([t for t in texts if t not in self._queries])
        return np.stack([self._queries[t] for t in texts])

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        # A passage without its heading is another text, and every question of a heading meets the same ones again.
        if new := [t for t in dict.fromkeys(texts) if t not in self._documents]:
            self.remember_documents(new, self._inner.encode_documents(new))
        return np.stack([self._documents[t] for t in texts])

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return self._inner.encode_tokens(texts)


def mean_max(query: Vectors, tokens: Vectors) -> float:
    """MaxSim, [CLS] and [SEP] left out."""
    return max_sim(query[1:-1], tokens[1:-1] if len(tokens) > 2 else tokens)


def check(folder: Path) -> int:
    """Prints every overlap of a folder's groups with its dev fields; 1 if there is any."""
    mined = read_mined(folder)
    check_groups(mined.groups, mined.passages)
    found = overlaps(mined)
    for overlap in found:
        print(f"{overlap.kind}: {overlap.group} touches {overlap.dev}")
    print(f"{len(mined.groups)} groups, {sum(map(len, mined.dev.values()))} dev queries: {len(found)} overlap")
    return int(bool(found))


def _progress(name: str, total: int) -> Any:
    started = time.perf_counter()

    def report(done: int) -> None:
        if done % 500 == 0 or done == total:
            say(f"{name}: {done} of {total} questions, {time.perf_counter() - started:.0f} s")

    return report


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
