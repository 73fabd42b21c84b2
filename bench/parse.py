"""Pages per second of parsing against pypdf, on the same files in the same run.

    python -m bench.parse [--files DIR] [--pypdf-pages N]

Ours is all in all: a fresh child process, sniffing, text, paragraphs, headings, metadata, JSON over the pipe. pypdf is
``PdfReader`` and ``extract_text`` in this process. pypdf reads a sample of pages, spread over the files, as it needs
minutes for all. pdfium's bare text, without anything of ours, is there to show what our part costs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.parse import ParseLimits
from ingest.parse.sandbox import Sandbox


@dataclass(frozen=True)
class Measured:
    name: str
    pages: int
    wall_s: float
    cpu_s: float  # of this process and its children


@contextmanager
def timed() -> Iterator[list[float]]:
    """Fills in [wall seconds, processor seconds]; the second hardly changes when the machine is busy with other work."""

    def cpu() -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )

    spent: list[float] = []
    wall, processor = time.perf_counter(), cpu()
    yield spent
    spent += [time.perf_counter() - wall, cpu() - processor]


def measure_ours(paths: Sequence[Path]) -> Measured:
    with timed() as spent, Sandbox(ParseLimits()) as sandbox:
        pages = sum(len(sandbox.parse(path, path.name).pages) for path in paths)
    return Measured("openbook, isolation and structure included", pages, *spent)


def measure_pdfium(paths: Sequence[Path]) -> Measured:
    import pypdfium2

    pages = 0
    with timed() as spent:
        for path in paths:
            document = pypdfium2.PdfDocument(path)
            for index in range(len(document)):
                page = document[index]
                textpage = page.get_textpage()
                textpage.get_text_range()
                textpage.close()
                page.close()
                pages += 1
            document.close()
    return Measured("pdfium, bare text in this process", pages, *spent)


def measure_pypdf(paths: Sequence[Path], wanted: int) -> tuple[Measured, list[str]]:
    import pypdf

    each, pages, refused = max(1, wanted // len(paths)), 0, []
    with timed() as spent:
        for path in paths:
            try:
                reader = pypdf.PdfReader(path)
                step = max(1, len(reader.pages) // each)
                for index in list(range(0, len(reader.pages), step))[:each]:
                    reader.pages[index].extract_text()
                    pages += 1
            except pypdf.errors.PyPdfError as e:
                refused.append(f"{path.name}: {e}")
    return Measured("pypdf, bare text in this process", pages, *spent), refused


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.parse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=Path, default=Path("../shared/data/sec10q/docs"), help="a folder of PDFs")
    parser.add_argument("--pypdf-pages", type=int, default=100, help="how many pages pypdf reads")
    arguments = parser.parse_args(argv)
    paths = sorted(arguments.files.glob("*.pdf"))
    if not paths:
        print(f"no PDF in {arguments.files}", file=sys.stderr)
        return 1
    with Sandbox(ParseLimits()) as sandbox:
        begun = time.perf_counter()
        sandbox.start()
        start = time.perf_counter() - begun
    peer, refused = measure_pypdf(paths, arguments.pypdf_pages)
    rows = [measure_ours(paths), measure_pdfium(paths), peer]
    print(f"{len(paths)} files, {rows[0].pages} pages; starting a child took {start * 1000:.0f} ms\n")
    print(
        f"{'reader':44}{'pages':>6}{'wall s':>8}{'cpu s':>8}{'pages/s':>9}{'pages/cpu s':>13}{'× pypdf':>9}{'by cpu':>8}"
    )
    for m in rows:
        wall, cpu = m.pages / m.wall_s, m.pages / m.cpu_s
        ratios = f"{wall / (peer.pages / peer.wall_s):9.1f}{cpu / (peer.pages / peer.cpu_s):8.1f}"
        print(f"{m.name:44}{m.pages:6}{m.wall_s:8.2f}{m.cpu_s:8.2f}{wall:9.1f}{cpu:13.1f}{ratios}")
    for line in refused:
        print(f"pypdf refused {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
