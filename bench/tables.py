"""Are the figures of a report's tables found in one passage with their row and column headers?

    python -m bench.tables [--docs DIR] [--filings 10] [--tables 30] [--seed 7]

Draws pages with tables by a fixed seed and compares two readings of them that share no code: pdfplumber says which
words stand on a figure's line and which stand above it; Openbook's parser and chunker say what is in one passage.
A figure counts as found if one passage has a table row with the figure and all words of its label, and that row's
table has, over the figure's own cell, every header word that stands right above the figure on the page.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.types import Chunk
from ingest.chunk import chunker
from ingest.parse.document import ParseLimits
from ingest.parse.pdf import parse_pdf
from ingest.pipeline import to_document
from models.packaged import MINILM, verify
from models.tokenizer import PieceTokenizer

_FIGURE = re.compile(r"\(?\$?\(?\d{1,3}(?:,\d{3})+\)?%?|\(?\$?\(?\d+(?:\.\d+)?\)?%?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_HEADER_REACH_PT = 26.0  # two lines right above the first figures: what a reader sees first
_LINE_PT = 3.0
_CELL_GAP_PT = 9.0


@dataclass(frozen=True, slots=True)
class Figure:
    text: str
    label: tuple[str, ...]
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawnTable:
    file: str
    page: int
    figures: tuple[Figure, ...]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=Path("../shared/data/sec10q/docs"))
    parser.add_argument("--filings", type=int, default=10)
    parser.add_argument("--tables", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=200, help="budget of a passage")
    parser.add_argument("--chunker", choices=("fixed", "sentence"), default="sentence")
    parser.add_argument("--misses", action="store_true", help="print what was not found")
    args = parser.parse_args(argv)
    files = sorted(args.docs.glob("*.pdf"))
    chosen = random.Random(args.seed)
    files = sorted(chosen.sample(files, min(args.filings, len(files))))
    drawn = draw(files, args.tables, chosen)
    by_file: dict[str, list[Chunk]] = {}
    totals: Counter[str] = Counter()
    whole = 0
    print(f"| table | page | figures | in a passage | with row label | with column header |\n|{'---|' * 6}")
    for table in drawn:
        if table.file not in by_file:
            by_file[table.file] = passages(Path(args.docs, table.file), args.chunker, args.tokens)
        on_page = [c for c in by_file[table.file] if c.page in (table.page, table.page - 1)]
        found = Counter[str]()
        for figure in table.figures:
            level = find(figure, on_page)
            found.update(["seen", "label", "header"][:level])
            if args.misses and level < 3:
                print(f"    missed at {level}: {figure}")
        n = len(table.figures)
        whole += found["header"] == n
        totals.update(found)
        totals["n"] += n
        print(f"| {table.file} | {table.page} | {n} | {found['seen']} | {found['label']} | {found['header']} |")
    n = totals["n"]
    print(
        f"\n{len(drawn)} tables, {n} figures: {totals['seen'] / n:.1%} in a passage, {totals['label'] / n:.1%} with the row "
        f"label, {totals['header'] / n:.1%} with row label and column header; {whole} tables without a miss"
    )
    return 0


def passages(path: Path, name: Any, max_tokens: int) -> list[Chunk]:
    parsed = parse_pdf(path, path.name, ParseLimits())
    document = to_document(parsed, collection="bench", uri=path.name, sha256="0" * 64)
    tokenizer = PieceTokenizer.from_file(verify(MINILM) / "tokenizer.json")
    return chunker(name)(document, parsed.headings, tokenizer, max_tokens, 0)


def draw(files: Sequence[Path], count: int, chosen: random.Random) -> list[DrawnTable]:
    """Tables of the filings, one per drawn page: its longest run of lines that end in two figures or more."""
    import pdfplumber

    pages = [(path, n) for path in files for n in range(_page_count(path))]
    chosen.shuffle(pages)
    drawn: list[DrawnTable] = []
    for path, n in pages:
        with pdfplumber.open(path, pages=[n + 1]) as pdf:
            figures = tuple(_figures(pdf.pages[0].extract_words(use_text_flow=False, keep_blank_chars=False)))
        if len(figures) >= 6:
            drawn.append(DrawnTable(path.name, n + 1, figures))
        if len(drawn) == count:
            break
    return drawn


def _page_count(path: Path) -> int:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return len(document)


def _figures(words: Sequence[dict[str, Any]]) -> Iterator[Figure]:
    lines: list[list[dict[str, Any]]] = []
    for word in sorted(words, key=lambda w: (round(w["bottom"] / _LINE_PT), w["x0"])):
        if lines and abs(lines[-1][-1]["bottom"] - word["bottom"]) <= _LINE_PT:
            lines[-1].append(word)
        else:
            lines.append([word])
    lines = [sorted(line, key=lambda w: w["x0"]) for line in lines]
    runs: list[list[int]] = []
    for i, line in enumerate(lines):
        if len(_values(line)) >= 2:
            if runs and i - runs[-1][-1] <= 2:
                runs[-1].append(i)
            else:
                runs.append([i])
    run = max(runs, key=len, default=[])
    if len(run) < 3:
        return
    top = lines[run[0]][0]["top"]
    above = [w for line in lines[: run[0]] for w in line if top - _HEADER_REACH_PT <= w["bottom"] <= top + 1]
    brackets = [w for line in lines[: run[0]] if _in_brackets(line) for w in line]
    for i in run:
        values = _values(lines[i])
        label = _label([w for w in lines[i] if w["x1"] <= values[0]["x0"]])
        if not label:
            continue
        for value in values:
            header = [w for w in above if min(w["x1"], value["x1"]) - max(w["x0"], value["x0"]) > 2]
            nearest = max((w["bottom"] for w in header), default=0.0)
            texts = tuple(w["text"] for w in header if nearest - w["bottom"] < 4)
            # A line in brackets ("(in millions, except per share data)") belongs to the table, not to a column.
            named = any(_YEAR.fullmatch(t) or (any(map(str.isalnum, t)) and not _FIGURE.fullmatch(t)) for t in texts)
            if named and not any(w in brackets for w in header):
                yield Figure(value["text"].strip("$()%"), label, texts)


def _in_brackets(line: Sequence[dict[str, Any]]) -> bool:
    text = " ".join(w["text"] for w in line)
    return text.count("(") == text.count(")") == 1 and text.startswith("(") and text.endswith(")")


def _label(words: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The words at the left up to the first wide gap; what follows is another column."""
    found: list[dict[str, Any]] = []
    for word in words:
        if found and word["x0"] - found[-1]["x1"] > _CELL_GAP_PT:
            break
        found.append(word)
    return tuple(w["text"] for w in found if any(c.isalnum() for c in w["text"]))


def _values(line: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures at the end of a line; a year or a note's number within a label is none."""
    found: list[dict[str, Any]] = []
    for word in reversed(line):
        if _FIGURE.fullmatch(word["text"]) and not _YEAR.fullmatch(word["text"]):
            gap = found[0]["x0"] - word["x1"] if found else 99.0
            if gap < 6:
                break
            found.insert(0, word)
        elif word["text"] not in ("$", "—", "–", "-", "%", ")", ")%"):
            break
    return found


def find(figure: Figure, chunks: Sequence[Chunk]) -> int:
    """0 not found, 1 in a passage, 2 in a row with its label, 3 under its column header, too."""
    best = 0
    for chunk in chunks:
        header: list[str] = []
        previous = ""
        for line in chunk.text.split("\n"):
            cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []
            if line.startswith("|-"):
                header = [c.strip() for c in previous.strip().strip("|").split("|")]
            elif not cells:
                header = []
            previous = line
            if figure.text not in line:
                continue
            best = max(best, 1)
            places = [k for k, cell in enumerate(cells) if figure.text in re.findall(r"[\d.,]*\d", cell)]
            if not places or not set(figure.label) <= set(cells[0].split()):
                continue
            best = max(best, 2)
            if any(k < len(header) and set(figure.header) <= set(header[k].split()) for k in places):
                return 3
    return best


if __name__ == "__main__":
    raise SystemExit(main())
