"""What is wrong with the indexes in service: checksums of their files, and whether they hold exactly what is visible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import numpy as np
from numpy.typing import NDArray

from core.errors import IndexDamaged
from core.findings import Finding
from retrieval.generations import Generations
from retrieval.terms import TermKeeper


def wrong_files(terms: TermKeeper, generations: Generations, dense: str, late: str) -> list[Finding]:
    """
    Args:
        dense, late: revisions of the generations in service.
    """
    try:
        terms.check_files()
        for manifest in (generations.current("dense", dense), generations.current("late", late)):
            if manifest is not None:
                generations.verify(manifest)
    except IndexDamaged as e:
        return [_finding("indexes", e.message)]
    return []


def wrong_rows(
    held: Mapping[str, NDArray[np.int64] | None], alive: NDArray[np.int64], hidden: Set[int], complete: Iterable[str]
) -> list[Finding]:
    """
    Args:
        held: name of an index → the rows that it has; None is not there at all, which is no fault.
        alive: rows that are visible.
        hidden: rows that may be in an index though they are not visible.
        complete: names of those that must have every visible row.
    """
    found = []
    for name, rows in held.items():
        if rows is None:
            continue
        extra = [row for row in np.setdiff1d(rows, alive).tolist() if row not in hidden]
        lacking = np.setdiff1d(alive, rows) if name in complete else ()
        if len(extra) or len(lacking):
            what = f"the index of {name} lacks {len(lacking):,} passages and has {len(extra):,} too many"
            found.append(_finding(name, what))
    return found


def _finding(subject: str, message: str) -> Finding:
    fix = "stop the server and run `openbook repair`, or restart it: it is built anew"
    return Finding(code="index-damaged", subject=subject, message=message, fix=fix)
