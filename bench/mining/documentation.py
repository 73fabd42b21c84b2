"""Questions nobody wrote: of technical documentation, the heading asks for its section, and a sentence for what is around it.

Sections have no heading lines in their text, positives and negatives alike: a model must not learn to look for the gap.
"""

from __future__ import annotations

import random
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.mining.fields import Field, Judged, Question, normal
from core.text import sentence_spans
from ingest.parse import markdown, rst
from ingest.parse.document import Heading
from models.train.pairs import Passage

LICENCE = "CC BY 4.0, MIT, Apache-2.0, CC0, CC BY-SA 4.0, public domain (by source)"
MOST_WORDS = 180  # about 240 word pieces: what the encoder reads at once
_FEWEST_WORDS = 25
_PER_DOCUMENT = 12  # passages, so that no long document drowns the others
_FEW = 2  # a heading in more documents than these asks for nothing in particular
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)---[ \t]*\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_EMPHASIS = re.compile(r"\*\*|``?|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)")
_HEADING_LINE = re.compile(r" {0,3}#{1,6}[ \t].*|[=\-~^\"'`*+#:.]{3,}[ \t]*")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_ROLE = re.compile(r":[\w.+:-]+:`([^`<]*?)(?:\s*<[^`]*>)?`")
_PROSE = re.compile(r"[A-Z][^|{}<>\\=]*[.!?]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A run of text under one heading of a document; a long one has several parts, each a passage."""

    source: str
    document: str
    title: str
    heading: str
    parts: tuple[Passage, ...]


def documentation(
    archive: Path, *, passages: int, questions: int, held_out: str, dev_questions: int, removed: float, seed: int
) -> tuple[Field, Field]:
    """The fields of a documentation archive: one to train on, and the held-out source, which is only measured with.

    Args:
        archive: a tar of Markdown and reStructuredText, the second part of each path naming the source.
        passages: about how many are read, evenly over the sources.
        questions: training questions at most, half of them headings, half sentences.
        held_out: a source, for example "python+peps".
        dev_questions: how many are asked of it, all of them headings.
        removed: share of the sentence questions whose sentence is taken out of its section.
        seed: of every draw.
    """
    draw = random.Random(seed)
    every = _sample(_files(archive), passages, draw)
    frequency = Counter(h for h, _ in {(normal(s.heading), s.document) for s in every})
    by_heading: dict[str, list[str]] = {}
    for section in every:
        by_heading.setdefault(normal(section.heading), []).extend(p.id for p in section.parts)

    questions_of: dict[bool, list[Question]] = {False: [], True: []}
    for section in every:
        held = section.source == held_out
        questions_of[held] += _heading_question(section, frequency, by_heading)
        if not held:
            questions_of[held] += _sentence_questions(section, removed, draw)
    dev = _half_each(questions_of[True], 2 * dev_questions, draw)
    judged = [Judged(id=q.id, query=q.query, relevant=dict.fromkeys(q.whole, 1), with_heading=False) for q in dev]
    name = held_out.split("+")[-1]
    return (
        Field(
            name="docs",
            licence=LICENCE,
            passages={p.id: p for s in every if s.source != held_out for p in s.parts},
            train=_half_each(questions_of[False], questions, draw),
        ),
        Field(
            name=name,
            licence=LICENCE,
            passages={p.id: p for s in every if s.source == held_out for p in s.parts},
            dev={name: judged} if judged else {},
        ),
    )


class _File(NamedTuple):
    source: str
    name: str
    text: str


def _files(archive: Path) -> dict[str, list[_File]]:
    """The files of each source, by name."""
    found: dict[str, list[_File]] = {}
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            parts = Path(member.name).parts
            if not member.isfile() or Path(member.name).suffix not in (".md", ".rst") or len(parts) < 3:
                continue
            file = tar.extractfile(member)
            if file is not None:
                text = file.read().decode("utf-8", "replace").replace("\r\n", "\n")
                found.setdefault(parts[1], []).append(_File(parts[1], "/".join(parts[1:]), text))
    for files in found.values():
        files.sort()
    return found


def sections_of(text: str, suffix: str, *, source: str, document: str) -> Iterator[Section]:
    """The sections of a document that hold enough words, without their heading lines."""
    front = _FRONT_MATTER.match(text) if suffix == ".md" else None
    if suffix == ".md":
        headings: Sequence[Heading] = markdown.find_headings(text, front.end() if front else 0)
    else:
        headings = rst.find_headings(text)
    if not headings:
        return
    title = _title(front.group(1) if front else "", headings, document)
    ends = [h.start for h in headings[1:]] + [len(text)]
    for number, (heading, end) in enumerate(zip(headings, ends, strict=True)):
        parts = _parts(_body(text[heading.start : end], heading.text))
        if not parts:
            continue
        key = f"docs/{document}#{number}"
        own = "" if heading.text == title else heading.text
        yield Section(
            source=source,
            document=document,
            title=title,
            heading=own,
            parts=tuple(Passage(id=f"{key}.{i}", title=title, heading=own, text=part) for i, part in enumerate(parts)),
        )


def _title(front: str, headings: Sequence[Heading], document: str) -> str:
    """What the front matter says; else the first heading, if no other is of its level; else the file's name."""
    if said := _FRONT_TITLE.search(front):
        return said.group(1).strip("\"'")
    if all(h.level > headings[0].level for h in headings[1:]):
        return headings[0].text
    return Path(document).stem.replace("-", " ").replace("_", " ")


def _body(section: str, heading: str) -> str:
    """The section without the line (or the lines) of its heading, links as their words."""
    lines = section.split("\n")
    kept = [
        line
        for i, line in enumerate(lines)
        if not (i < 3 and (_HEADING_LINE.fullmatch(line) or line.strip() == heading.strip()))
    ]
    return _ROLE.sub(r"\1", _LINK.sub(r"\1", "\n".join(kept))).strip()


def _parts(body: str) -> list[str]:
    """Paragraphs together up to ``MOST_WORDS``; a longer one is cut."""
    parts: list[list[str]] = [[]]
    sizes = [0]
    for paragraph in re.split(r"\n\s*\n", body):
        found = paragraph.split()
        for start in range(0, len(found), MOST_WORDS):
            piece = found[start : start + MOST_WORDS]
            text = paragraph.strip() if len(piece) == len(found) else " ".join(piece)
            if sizes[-1] + len(piece) > MOST_WORDS and parts[-1]:
                parts.append([])
                sizes.append(0)
            parts[-1].append(text)
            sizes[-1] += len(piece)
    return ["\n\n".join(p) for p, n in zip(parts, sizes, strict=True) if n >= _FEWEST_WORDS]


def _sample(by_source: Mapping[str, list[_File]], passages: int, draw: random.Random) -> list[Section]:
    """Files in turns over the sources, until there are enough passages; what was read already is left out.

    The same words under another path (a manual that is kept per version) would be a negative that answers.
    """
    waiting = {source: draw.sample(files, len(files)) for source, files in sorted(by_source.items())}
    seen: set[str] = set()
    found: list[Section] = []
    n = 0
    while n < passages and any(waiting.values()):
        for files in waiting.values():
            if not files or n >= passages:
                continue
            source, name, text = files.pop()
            taken = 0
            for section in sections_of(text, Path(name).suffix, source=source, document=name):
                key = normal(" ".join(p.text for p in section.parts))
                if key in seen or taken >= _PER_DOCUMENT:
                    continue
                seen.add(key)
                found.append(section)
                taken += len(section.parts)
            n += taken
    return found


def _heading_question(
    section: Section, frequency: Mapping[str, int], by_heading: Mapping[str, list[str]]
) -> Iterator[Question]:
    key = normal(section.heading)
    if frequency[key] > _FEW or not 2 <= len(key.split()) <= 16:
        return
    ids = tuple(p.id for p in section.parts)
    yield Question(
        id=f"{ids[0]}/heading",
        query=section.heading,
        positives=ids[:1],
        whole=ids,
        never=frozenset((*ids, *by_heading[key])),
        with_heading=False,
    )


def _sentence_questions(section: Section, removed: float, draw: random.Random) -> Iterator[Question]:
    """At most one for each passage: a sentence of prose, from anywhere but the passage's end and beginning alone."""
    siblings = frozenset(p.id for p in section.parts)
    for passage in section.parts:
        spans = [(a, b) for a, b in sentence_spans(passage.text) if _asks(passage.text[a:b])]
        if not spans:
            continue
        a, b = draw.choice(spans)
        rest = " ".join((passage.text[:a] + passage.text[b:]).split())
        out = draw.random() < removed
        if out and len(rest.split()) < _FEWEST_WORDS:
            continue
        yield Question(
            id=f"{passage.id}/sentence",
            query=_EMPHASIS.sub("", " ".join(passage.text[a:b].split())),  # nobody asks in Markdown
            positives=(passage.id,),
            never=siblings,
            altered=Passage(id=f"{passage.id}-", title=passage.title, heading=passage.heading, text=rest)
            if out
            else None,
        )


def _asks(sentence: str) -> bool:
    """Prose that says something by itself."""
    found = sentence.split()
    letters = sum(c.isalpha() or c.isspace() for c in sentence)
    return 8 <= len(found) <= 32 and letters >= 0.85 * len(sentence) and _PROSE.fullmatch(sentence) is not None


def _half_each(questions: Sequence[Question], n: int, draw: random.Random) -> list[Question]:
    kinds = [[q for q in questions if not q.with_heading], [q for q in questions if q.with_heading]]
    for kind in kinds:
        draw.shuffle(kind)
    few = min(len(kinds[0]), n - n // 2)
    chosen = kinds[0][:few] + kinds[1][: n - few]
    return sorted(chosen, key=lambda q: q.id)
