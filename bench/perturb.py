"""Claims with a known answer, made from texts by rule: what is written, said shorter or changed.

From clapnq train (answers that people wrote from a passage), xquad train (questions that people wrote, with their answer
put in the place of the question word) and the text collection (its own sentences). A claim is supported where nothing
but words that carry no fact was taken away, and unsupported where a name, number, date, negation, qualifier or content
word was changed or two names changed places, or where the sentence that it came from was taken out of the evidence.

Known limits: a shortened sentence may lose a condition that mattered, and a swapped name may be true elsewhere; about
one in twenty is wrong. Deterministic for a seed.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.lexical import terms
from agents.verify.dates import dates
from agents.verify.names import names
from agents.verify.numbers import quantities
from core.text import sentence_spans

_QUALIFIERS = (
    ("some", "all"), ("many", "all"), ("most", "all"), ("often", "always"), ("sometimes", "always"), ("usually", "always"),
    ("may", "must"), ("might", "will"), ("can", "must"), ("should", "must"), ("about", "exactly"), ("nearly", "exactly"),
    ("at least", "at most"), ("more than", "less than"), ("up to", "at least"), ("before", "after"), ("first", "last"),
    ("optional", "required"), ("only", "also"), ("increase", "decrease"), ("higher", "lower"), ("largest", "smallest"),
)  # fmt: skip
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|should|must|has|have|had|does|did|may)\b(?! not|n't)")
_NEGATION = re.compile(r"\b(not|never|no longer)\s+|n't\b")
_ASIDE = re.compile(r"\s*\([^()]{2,80}\)|,\s+(?:which|who|including|such as|for example|e\.g\.)\b[^,.;]{2,80}(?=[,.])")
_OPENING = re.compile(r"^((?:In|On|At|During|After|Before|From|For|Since|By|With|As of)\b[^,]{2,60}),\s+(\w[^.]*)\.$")
_ADVERB = re.compile(
    r"\b(?:also|however|therefore|furthermore|moreover|thus|additionally|currently|generally|typically)\b,?\s*",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:what|which|how many|how much|who|whom|when|where|in what|in which)\b(?:\s+(?:year|century|day|city|country|"
    r"person|group|company|type of|kind of|percentage of|number of))?",
    re.IGNORECASE,
)
_KINDS = ("number", "date", "name", "word", "negation", "qualifier", "roles")
# Between two names, these make what is said the same whoever is named first.
_ALIKE = re.compile(r"\b(?:and|or|of|in|at|from|near|with|between|versus|vs|met|married)\b|[,;:()]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """``source`` is what a fold holds out together."""

    claim: str
    evidence: str
    label: bool
    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    text: str
    source: str
    said: tuple[str, ...] = ()  # that people wrote of it and that it supports


def read_clapnq(path: Path) -> list[Passage]:
    """Answerable questions: the passage, and the sentences of the answers."""
    found = []
    for row in _rows(path):
        text = "\n".join(c["text"] for c in row["contexts"])
        said = [a[i:j] for a in row["answers"] for i, j in sentence_spans(a)] if row["answerable"] else []
        found.append(Passage(text=text, source=row["contexts"][0]["title"], said=tuple(dict.fromkeys(said))))
    return found


def read_xquad(path: Path) -> list[Passage]:
    """Paragraphs, and each question with its answer in the place of its question word."""
    by_text: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for row in _rows(path):
        context = row["contexts"][0]
        said = answered(row["question"], row["answers"][0])
        titles[context["text"]] = context["title"]
        by_text.setdefault(context["text"], [])
        if said:
            by_text[context["text"]].append(said)
    return [Passage(text=t, source=titles[t], said=tuple(s)) for t, s in by_text.items()]


def read_collection(folder: Path, n: int, rng: random.Random) -> list[Passage]:
    """Runs of plain prose of 60 to 220 words, from files drawn at random; one of each file."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".md", ".rst"))
    rng.shuffle(files)
    found: list[Passage] = []
    for path in files:
        paragraphs = [" ".join(p.split()) for p in path.read_text("utf-8", errors="replace").split("\n\n")]
        prose = [
            p for p in paragraphs if len(p.split()) >= 15 and p[0].isalpha() and not re.search(r"[`|<>{}\[\]=]", p)
        ]
        kept: list[str] = []
        for paragraph in prose:
            if len(" ".join([*kept, paragraph]).split()) > 220:
                break
            kept.append(paragraph)
        text = "\n\n".join(kept)
        if len(text.split()) >= 60:
            found.append(Passage(text=text, source=path.name))
        if len(found) == n:
            break
    return found


def answered(question: str, answer: str) -> str | None:
    """The question as a statement of its answer, roughly; None where no question word is found near either end."""
    m = _ASKED.search(question)
    if m is None:
        return None
    said = f"{question[: m.start()]}{answer} {question[m.end() :].strip()}"
    said = re.sub(r"\s+", " ", said.rstrip(" ?")).strip()
    return said[:1].upper() + said[1:] + "."


def claims(passages: Sequence[Passage], rng: random.Random, per_passage: int) -> Iterator[Made]:
    """At most ``per_passage`` sentences of each passage, and all that was said of it, each in several versions."""
    pool = {"name": [n for p in passages for n in names(p.text)], "word": []}
    for at, passage in enumerate(passages):
        spans = [(a, b) for a, b in sentence_spans(passage.text) if 6 <= len(passage.text[a:b].split()) <= 45]
        rng.shuffle(spans)
        own = [(passage.text[a:b], (a, b)) for a, b in spans[:per_passage]]
        neighbour = passages[at - 1].text
        for sentence, span in [*own, *((s, None) for s in passage.said)]:
            yield from _versions(sentence, span, passage, neighbour, pool["name"], rng)


def _versions(
    sentence: str, span: tuple[int, int] | None, passage: Passage, other: str, pool: Sequence[str], rng: random.Random
) -> Iterator[Made]:
    def made(claim: str, label: bool, kind: str, evidence: str = passage.text) -> Made:
        return Made(claim=claim, evidence=evidence, label=label, kind=kind, source=passage.source)

    shorter = shortened(sentence, rng)
    base = shorter or sentence
    if span is None:
        yield made(sentence, True, "said")
        yield made(sentence, False, "elsewhere", other)
    elif shorter is not None:
        yield made(shorter, True, "shorter")
    if span is not None:
        yield made(base, False, "left out", passage.text[: span[0]] + passage.text[span[1] :])
    changed = [(kind, c) for kind in _KINDS if (c := change(base, kind, passage.text, pool, rng)) is not None]
    rng.shuffle(changed)
    for kind, claim in changed[: 3 if span is None else 2]:
        yield made(claim, False, kind)


def shortened(sentence: str, rng: random.Random) -> str | None:
    """Without an aside or an adverb, or with its opening moved to the end; None where there is nothing to do."""
    ways = []
    if (cut := _ASIDE.sub("", sentence, count=1)) != sentence:
        ways.append(re.sub(r",\s*,", ",", cut))
    if (cut := _ADVERB.sub("", sentence, count=1)) != sentence:
        ways.append(cut[:1].upper() + cut[1:])
    if m := _OPENING.match(sentence):
        ways.append(f"{m[2][:1].upper()}{m[2][1:]} {m[1][:1].lower()}{m[1][1:]}.")
    return rng.choice(ways) if ways else None


def change(sentence: str, kind: str, text: str, pool: Sequence[str], rng: random.Random) -> str | None:
    """``sentence`` with one thing of this kind changed, so that ``text`` does not say it; None where it has none."""
    match kind:
        case "number":
            skip = [(d.start, d.end) for d in dates(sentence)]
            found = [q for q in quantities(sentence) if q.plain and not any(a <= q.start < b for a, b in skip)]
            if not found:
                return None
            q = rng.choice(found)
            value = int(q.values[0])
            new = rng.choice([value + 1, value * 2 + 1, value + 10, max(0, value - 1) or value + 3])
            return _replaced(sentence, q.text.strip(), str(new), text)
        case "date":
            years = re.findall(r"\b(?:1[5-9]\d\d|20[0-4]\d)\b", sentence)
            if not years:
                return None
            year = rng.choice(years)
            return _replaced(sentence, year, str(int(year) + rng.choice([-11, -3, -1, 1, 2, 7])), text)
        case "name":
            own = names(sentence)
            others = [n for n in names(text) if n not in sentence] or rng.sample(pool, min(9, len(pool)))
            others = [n for n in others if n not in sentence]
            return sentence.replace(rng.choice(own), rng.choice(others), 1) if own and others else None
        case "word":
            mine = [w for w in re.findall(r"\b[a-z]{5,}\b", sentence) if terms(w)]
            if not mine:
                return None
            old = rng.choice(mine)
            theirs = [w for w in re.findall(r"\b[a-z]{5,}\b", text) if w not in sentence and w[-2:] == old[-2:]]
            return re.sub(rf"\b{old}\b", rng.choice(theirs), sentence, count=1) if theirs else None
        case "negation":
            if _NEGATION.search(sentence):
                return _NEGATION.sub("", sentence, count=1)
            return _AUXILIARY.sub(r"\1 not", sentence, count=1) if _AUXILIARY.search(sentence) else None
        case "qualifier":
            for a, b in rng.sample(_QUALIFIERS, len(_QUALIFIERS)):
                if re.search(rf"\b{a}\b", sentence):
                    return re.sub(rf"\b{a}\b", b, sentence, count=1)
            return None
        case "roles":
            own = list(dict.fromkeys(names(sentence)))
            for a, b in itertools.pairwise(own):
                between = sentence[sentence.find(a) + len(a) : sentence.find(b)]
                verb = all(w.isalpha() and w.islower() for w in between.split())
                if verb and 1 <= len(between.split()) <= 4 and not _ALIKE.search(between):
                    return sentence.replace(a, "\0", 1).replace(b, a, 1).replace("\0", b, 1)
            return None
    return None


def _replaced(sentence: str, old: str, new: str, text: str) -> str | None:
    return sentence.replace(old, new, 1) if not re.search(rf"\b{re.escape(new)}\b", text) else None


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
