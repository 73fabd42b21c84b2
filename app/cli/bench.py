"""``openbook bench``: the measurements of docs/bench, by name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from typing import Annotated

import typer

from app.cli.common import DataDir
from core.errors import InvalidRequest


def bench(
    name: Annotated[str, typer.Argument(help="What to measure: encode, ingest, lm, parse, retrieval, tables, …")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on; put -- before options.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run one of the measurements that docs/bench reports, with its peer in the same run.

    Peers (pypdf, sentence-transformers, pdfplumber) are needed only here; `make env-dev` installs them.

    Example: openbook bench parse -- --files reports/
    """
    if data_dir is not None:
        os.environ["OPENBOOK_DATA_DIR"] = str(
            data_dir
        )  # which measurements of what settings say read, as every command does
    # Found by name: what measures the product is no part of it, and may not be installed with it.
    package = importlib.util.find_spec("bench")
    if package is None:
        raise InvalidRequest("the measurements come with the repository: run this from a checkout of it", code="usage")
    name = name.replace("-", "_")
    names = sorted(m.name for m in pkgutil.iter_modules(package.submodule_search_locations))
    measures = [n for n in names if hasattr(importlib.import_module(f"bench.{n}"), "main")] if name not in names else []
    if name not in names:
        raise InvalidRequest(f"there is no measurement {name!r}: choose {', '.join(measures)}", code="usage")
    run = getattr(importlib.import_module(f"bench.{name}"), "main", None)
    if run is None:
        raise InvalidRequest(f"bench.{name} is no measurement by itself", code="usage")
    raise typer.Exit(int(run(arguments or []) or 0))
