"""Questions of one kind, written out for somebody to judge by reading: what they ask, their passages, the answer.

    python -m bench.blind_questions [--kind multi-hop|written] [--data DIR] [--seed 0] [--n 40] [--files 150] [--filings] [--out FILE]

A collection is made of the English articles of xquad and of ``--files`` files of the text collection, as many of each of its sources; questions are
made of it by the product's own command (``written``: by the language model of the settings). Nothing in FILE says which checks a question passed or
whether it was easy, and their order is drawn. Whether a question can be answered from its passages, needs all of them, and is grammatical, is
for the reader.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.chunkers import xquad

_SIZES = (4_000, 60_000)  # bytes of a file that has something to say and is not most of the collection
_SEEN = 400  # characters on either side of a span that are shown


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.blind_questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kind", choices=("multi-hop", "written"), default="multi-hop")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--files", type=int, default=150, help="of the text collection; 0 leaves it out")
    parser.add_argument("--filings", action="store_true", help="sec10q besides, with the articles")
    parser.add_argument("--out", type=Path, default=Path("blind_questions.md"))
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder, data_dir = Path(temporary) / "files", Path(temporary) / "data"
        folder.mkdir()
        for document, _ in xquad(arguments.data / "xquad").documents:
            (folder / f"{document.title.replace('/', ' ')}.txt").write_text(document.text, "utf-8")
        if arguments.files:
            unpack(arguments.data / "text-collection.tar.xz", folder, arguments.files)
        if arguments.filings:
            for file in sorted((arguments.data / "sec10q" / "docs").iterdir()):
                (folder / file.name).write_bytes(file.read_bytes())
        _openbook("ingest", str(folder), "--collection", "blind", "--data-dir", str(data_dir))
        share = ("--multi-hop", "0.5") if arguments.kind == "multi-hop" else ("--written", str(arguments.n))
        asked = ("--n", str(2 * arguments.n), *share, "--seed", str(arguments.seed))
        said = _openbook("eval", "questions", "--collection", "blind", *asked, "--json", "--data-dir", str(data_dir))
        made = json.loads(said)
        wanted = ("multi-hop", "comparison") if arguments.kind == "multi-hop" else (arguments.kind,)
        questions = [q for q in made["questions"] if q["kind"] in wanted][: arguments.n]
        texts = _texts(data_dir, sorted({gold["doc_id"] for q in questions for gold in q["gold"]}))
    random.Random(f"blind {arguments.seed}").shuffle(questions)
    arguments.out.write_text("\n\n".join(_shown(i, q, texts) for i, q in enumerate(questions, 1)) + "\n", "utf-8")
    print(f"{len(questions)} {arguments.kind} questions of seed {arguments.seed} in {arguments.out}; {made['origin']}")
    return 0


def unpack(archive: Path, folder: Path, n: int) -> None:
    """Writes about ``n`` files of a fitting size: as many of each source, evenly spread in the order of their names."""
    sources: dict[str, list[str]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and _SIZES[0] <= member.size <= _SIZES[1] and member.name.count("/") > 1:
                sources.setdefault(member.name.split("/")[1], []).append(member.name)
    each = max(1, n // len(sources))
    wanted = {sorted(names)[i * len(names) // each] for names in sources.values() for i in range(each)}
    with tarfile.open(archive) as tar:  # compressed as one stream, so it is read in its own order
        for member in tar:
            if member.name in wanted and (file := tar.extractfile(member)) is not None:
                (folder / member.name.replace("/", "__")).write_bytes(file.read())


def _openbook(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", "app.cli", *command], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"openbook {' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _texts(data_dir: Path, doc_ids: Sequence[str]) -> dict[str, str]:
    from app.cli.common import connected

    with connected(data_dir) as client:
        return {doc_id: client.document_text(doc_id) for doc_id in doc_ids}


def _shown(number: int, question: dict[str, Any], texts: dict[str, str]) -> str:
    parts = [f"## {number}", question["question"]]
    for i, gold in enumerate(question["gold"], 1):
        text = texts[gold["doc_id"]]
        before = " ".join(text[max(0, gold["start"] - _SEEN) : gold["start"]].split())
        after = " ".join(text[gold["end"] : gold["end"] + _SEEN].split())
        span = " ".join(text[gold["start"] : gold["end"]].split())
        parts.append(f"{i}. ({gold['title']}) {before} **{span}** {after}")
    parts.append(f"Answer: {question['answers'][0]}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
