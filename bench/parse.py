"""Pages per second of parsing against pypdf, on the same files in the same run.

    python -m bench.parse [--files DIR] [--pypdf-pages N] [--rounds N]

Ours is all in all: a fresh child process, sniffing, text, paragraphs, headings, metadata, JSON over the pipe; once by
one child, and once by as many as the service runs side by side. pypdf is ``PdfReader`` and ``extract_text`` in this process:
it holds the interpreter, so that threads of it are no faster. pdfium's bare text, without anything of ours, is there to
show what our part costs.

The readers take turns, and the best round of each counts: a machine that is busy for a while spoils a round. pypdf reads
a sample of pages, spread over each file, as it needs minutes for all; opening a file counts once, and its sample for all of its
pages. A file that pypdf refuses is left out for all three.
"""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.settings import Settings
from ingest.parse import ParseLimits
from ingest.parse.sandbox import Sandbox

SIDE_BY_SIDE = Settings.model_fields["ingest_workers"].default


@dataclass(slots=True)
class Spent:
    wall_s: float = 0.0
    cpu_s: float = 0.0  # of this process and its children; hardly changes when the machine is busy with other work

    def add(self, more: Spent, times: float = 1.0) -> None:
        self.wall_s += times * more.wall_s
        self.cpu_s += times * more.cpu_s


@dataclass(slots=True)
class Reader:
    """What one reader needed for all pages, in each round."""

    name: str
    rounds: list[Spent] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return min(spent.wall_s for spent in self.rounds)

    @property
    def cpu_s(self) -> float:
        return min(spent.cpu_s for spent in self.rounds)


@contextmanager
def timed(spent: Spent) -> Iterator[None]:
    """Adds what is spent within. Children count once they have ended."""

    def cpu() -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )

    wall, processor = time.perf_counter(), cpu()
    yield
    spent.add(Spent(time.perf_counter() - wall, cpu() - processor))


def read_ours(paths: Sequence[Path], children: int) -> Spent:
    """What ``children`` need side by side, each of which takes the next file when it has read one."""
    spent, waiting, taking = Spent(), iter(paths), threading.Lock()

    def read() -> None:
        with Sandbox(ParseLimits()) as sandbox:
            while True:
                with taking:
                    path = next(waiting, None)
                if path is None:
                    return
                sandbox.parse(path, path.name)

    with timed(spent), ThreadPoolExecutor(children) as pool:
        for future in [pool.submit(read) for _ in range(children)]:
            future.result()
    return spent


def read_pdfium(paths: Sequence[Path]) -> Spent:
    import pypdfium2

    spent = Spent()
    with timed(spent):
        for path in paths:
            document = pypdfium2.PdfDocument(path)
            for index in range(len(document)):
                page = document[index]
                textpage = page.get_textpage()
                textpage.get_text_range()
                textpage.close()
                page.close()
            document.close()
    return spent


def read_pypdf(path: Path, wanted: int) -> tuple[Spent, int]:
    """What pypdf needs for all pages of a file, from ``wanted`` of them, and how many it has.

    Raises:
        PyPdfError: pypdf cannot read it.
    """
    import pypdf

    opening, reading = Spent(), Spent()
    with timed(opening):
        reader = pypdf.PdfReader(path)
        count = len(reader.pages)
    sample = range(0, count, max(1, count // wanted))[:wanted]
    with timed(reading):
        for index in sample:
            reader.pages[index].extract_text()
    opening.add(reading, count / max(len(sample), 1))
    return opening, count


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.parse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=Path, default=Path("../shared/data/sec10q/docs"), help="a folder of PDFs")
    parser.add_argument("--pypdf-pages", type=int, default=100, help="how many pages pypdf reads in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often the readers take turns")
    arguments = parser.parse_args(argv)
    paths = sorted(arguments.files.glob("*.pdf"))
    if not paths:
        print(f"no PDF in {arguments.files}", file=sys.stderr)
        return 1
    each = max(1, arguments.pypdf_pages // len(paths))
    readable, pages = _readable(paths, each)
    if not readable:
        print(f"pypdf reads none of the {len(paths)} PDFs in {arguments.files}", file=sys.stderr)
        return 1
    ours = Reader("openbook, isolation and structure included")
    both = Reader(f"… by {SIDE_BY_SIDE} children, as the service reads")
    pdfium = Reader("pdfium, bare text in this process")
    peer = Reader("pypdf, bare text in this process")
    for _ in range(max(1, arguments.rounds)):
        ours.rounds.append(read_ours(readable, 1))
        both.rounds.append(read_ours(readable, SIDE_BY_SIDE))
        pdfium.rounds.append(read_pdfium(readable))
        whole = Spent()
        for path in readable:
            whole.add(read_pypdf(path, each)[0])
        peer.rounds.append(whole)
    with Sandbox(ParseLimits()) as sandbox:
        begun = time.perf_counter()
        sandbox.start()
        start = time.perf_counter() - begun
    print(f"{len(readable)} files, {pages} pages; starting a child took {start * 1000:.0f} ms\n")
    print(f"{'reader':44}{'wall s':>8}{'cpu s':>8}{'pages/s':>9}{'pages/cpu s':>13}{'× pypdf':>9}{'by cpu':>8}")
    for reader in (ours, both, pdfium, peer):
        rates = f"{pages / reader.wall_s:9.1f}{pages / reader.cpu_s:13.1f}"
        ratios = f"{peer.wall_s / reader.wall_s:9.1f}{peer.cpu_s / reader.cpu_s:8.1f}"
        print(f"{reader.name:44}{reader.wall_s:8.2f}{reader.cpu_s:8.2f}{rates}{ratios}")
    return 0


def _readable(paths: Sequence[Path], each: int) -> tuple[list[Path], int]:
    """The files that pypdf reads, and how many pages they have; says which it refuses."""
    from pypdf.errors import PyPdfError

    readable: list[Path] = []
    pages = 0
    for path in paths:
        try:
            pages += read_pypdf(path, each)[1]
            readable.append(path)
        except PyPdfError as e:
            print(f"pypdf refuses {path.name}: {e}")
    return readable, pages


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
