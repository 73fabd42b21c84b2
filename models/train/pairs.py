"""What is trained on, as it lies on disk: passages once, and groups that name them.

    DIR/passages.jsonl.gz    {"id", "title", "heading", "text"}
        groups.jsonl.gz      {"id", "field", "query", "positives": [ids], "negatives": [ids], "with_heading",
                              "fused": [numbers], "late": [numbers]}      teacher scores: positives first, as listed
        dev/FIELD.jsonl.gz   {"id", "query", "candidates": [ids], "fused": [numbers], "relevant": {id: grade},
                              "with_heading"}     candidates best first; ``relevant`` may name some that were not found
        manifest.json        who made it and how, what it is made of, what was checked

A folder made from 40,000 passages is some 20 MB, so that it can be carried to a machine with a GPU.
Not known here: how the groups were found.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest, NotFound

PASSAGES, GROUPS, DEV, MANIFEST = "passages.jsonl.gz", "groups.jsonl.gz", "dev", "manifest.json"
HOW = "make such a folder with: openbook bench mine-pairs -- --out DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """``heading`` is the last heading above the text, which is not in the text; ``title`` is the document's."""

    id: str
    title: str
    heading: str
    text: str

    def read_as(self, *, with_title: bool = True, with_heading: bool = True) -> str:
        """The passage as a model reads it: title and heading on a line above the text."""
        above = " > ".join(part for part in (self.title * with_title, self.heading * with_heading) if part)
        return f"{above}\n{self.text}" if above else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One query with passages that answer it and passages that do not.

    ``with_heading`` is False where the query was made of the heading. ``fused`` and ``late`` are a teacher's scores of
    positives and negatives, in that order; empty where there are none.
    """

    id: str
    field: str
    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    with_heading: bool = True
    fused: tuple[float, ...] = ()
    late: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevQuery:
    """One query of a field that is only measured: its candidates, best first, and what is relevant."""

    id: str
    query: str
    candidates: tuple[str, ...]
    fused: tuple[float, ...]
    relevant: Mapping[str, int]
    with_heading: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """A folder, read and checked."""

    passages: Mapping[str, Passage]
    groups: tuple[Group, ...]
    dev: Mapping[str, tuple[DevQuery, ...]]  # field → its queries
    manifest: Mapping[str, Any]


def write_mined(folder: Path, mined: Mined) -> None:
    """Writes the folder; the same content gives the same bytes."""
    (folder / DEV).mkdir(parents=True, exist_ok=True)
    used = {i for g in mined.groups for i in (*g.positives, *g.negatives)}
    used |= {i for queries in mined.dev.values() for q in queries for i in q.candidates}
    _write(folder / PASSAGES, (asdict(p) for i, p in sorted(mined.passages.items()) if i in used))
    _write(folder / GROUPS, (asdict(g) for g in mined.groups))
    for field, queries in mined.dev.items():
        _write(folder / DEV / f"{field}.jsonl.gz", ({**asdict(q), "relevant": dict(q.relevant)} for q in queries))
    (folder / MANIFEST).write_text(json.dumps(mined.manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_mined(folder: Path) -> Mined:
    """Reads and checks a folder.

    Raises:
        NotFound: a file is absent.
        InvalidRequest: a line does not fit, or a group names a passage that is not there.
    """
    for name in (PASSAGES, GROUPS, MANIFEST):
        if not (folder / name).is_file():
            raise NotFound(f"{folder} holds no {name}: {HOW}", code="no-dataset")
    passages = {p.id: p for p in _read(folder / PASSAGES, _passage)}
    groups = tuple(_read(folder / GROUPS, _group))
    dev = {
        path.name.removesuffix(".jsonl.gz"): tuple(_read(path, _dev_query))
        for path in sorted((folder / DEV).glob("*.jsonl.gz"))
    }
    for group in groups:
        _check_group(group, passages)
    for field, queries in dev.items():
        for query in queries:
            missing = [i for i in query.candidates if i not in passages]
            if missing or len(query.fused) != len(query.candidates):
                raise InvalidRequest(
                    f"dev field {field!r}, query {query.id!r}: {len(query.candidates)} candidates, "
                    f"{len(query.fused)} scores, {len(missing)} passages absent; {HOW}"
                )
    return Mined(passages=passages, groups=groups, dev=dev, manifest=json.loads((folder / MANIFEST).read_text("utf-8")))


def _check_group(group: Group, passages: Mapping[str, Passage]) -> None:
    members = (*group.positives, *group.negatives)
    if not group.positives or not group.negatives:
        raise InvalidRequest(f"group {group.id!r} needs a positive and a negative at least; {HOW}")
    if absent := [i for i in members if i not in passages]:
        raise InvalidRequest(f"group {group.id!r} names the passage {absent[0]!r}, which {PASSAGES} lacks; {HOW}")
    if both := set(group.positives) & set(group.negatives):
        raise InvalidRequest(f"group {group.id!r} has {min(both)!r} as positive and as negative; {HOW}")
    for name, scores in (("fused", group.fused), ("late", group.late)):
        if scores and len(scores) != len(members):
            raise InvalidRequest(f"group {group.id!r} has {len(scores)} scores {name!r} of {len(members)} passages")


def _passage(v: Mapping[str, Any]) -> Passage:
    return Passage(id=v["id"], title=v["title"], heading=v["heading"], text=v["text"])


def _group(v: Mapping[str, Any]) -> Group:
    return Group(
        id=v["id"],
        field=v["field"],
        query=v["query"],
        positives=tuple(v["positives"]),
        negatives=tuple(v["negatives"]),
        with_heading=bool(v["with_heading"]),
        fused=tuple(map(float, v["fused"])),
        late=tuple(map(float, v["late"])),
    )


def _dev_query(v: Mapping[str, Any]) -> DevQuery:
    return DevQuery(
        id=v["id"],
        query=v["query"],
        candidates=tuple(v["candidates"]),
        fused=tuple(map(float, v["fused"])),
        relevant={str(i): int(grade) for i, grade in v["relevant"].items()},
        with_heading=bool(v["with_heading"]),
    )


def _read(path: Path, make: Any) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield make(json.loads(line))
                except (KeyError, TypeError, ValueError) as e:
                    raise InvalidRequest(f"{path}, line {number}: {type(e).__name__} {e}; {HOW}") from e
    except (OSError, EOFError) as e:
        raise InvalidRequest(f"cannot read {path}: {e}; {HOW}") from e


def _write(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    # Without a name and a time in the header, the same lines are the same file.
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8") as file,
    ):
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
