"""One SELECT over tables, by DuckDB in a process of its own: it reads no file, opens no connection, changes nothing, ends in time.

DuckDB's own limits do not bound every function (``repeat('x', 2000000000)`` neither counts towards its memory limit nor
heeds an interrupt), so a child with limits of the kernel runs it, and is killed when its time is up.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from agents.tools.markdown_tables import WHOLE_DIGITS, Table
from core.errors import ToolFailed

if TYPE_CHECKING:
    import duckdb

SECONDS = 5.0  # with the start of the child, a tenth of it on an idle machine
MEMORY = "128MB"  # of DuckDB's own
ADDRESS_SPACE = 1 << 30  # of the child, with DuckDB's code in it
MAX_ROWS = 50
MAX_CHARACTERS = 4_000  # of a query
_CELL = 200  # characters shown of one cell
_NAMED = re.compile(r"\bt\d+\b", re.IGNORECASE)
_REFUSED = 3  # exit code of a child that says why on stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """At most MAX_ROWS; ``more`` says that there were others. ``cut``: which of the tables asked were not read whole."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: bool
    cut: str = ""


def select(query: str, tables: Sequence[Table], seconds: float = SECONDS) -> Rows:
    """Runs ``query`` over the tables, which are named t1, t2, … in their order.

    Raises:
        ToolFailed: not one SELECT, a mistake in it, or it takes too long or too much memory; the message says which
            tables and columns there are.
    """
    if len(query) > MAX_CHARACTERS:
        raise ToolFailed(f"the query has {len(query):,} characters and may have {MAX_CHARACTERS:,}")
    asked = {"query": query, "tables": [[t.columns, t.numeric, t.rows] for t in tables]}
    # Nothing of this process's environment goes along, and -I keeps the working folder out of what is imported.
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=seconds,
            env={},
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise ToolFailed(f"the query took over {seconds:g} seconds and was stopped: ask for less") from e
    if done.returncode == _REFUSED:
        raise ToolFailed(f"{done.stdout.decode()}. There are: {described(tables)}")
    if done.returncode != 0:
        raise ToolFailed("the query took more memory or processor time than it may: ask for less")
    found = json.loads(done.stdout)
    asked_of = {name.lower() for name in _NAMED.findall(query)}
    cut = [f"t{n} has only {_held(t)}" for n, t in enumerate(tables, start=1) if t.left_out and f"t{n}" in asked_of]
    return Rows(
        columns=tuple(found["columns"]),
        rows=tuple(map(tuple, found["rows"])),
        more=found["more"],
        cut="; ".join(cut),
    )


def described(tables: Sequence[Table]) -> str:
    """ "t1 ("Year" number, "Net sales" number; 4 rows); t2 (…)"."""
    shown = []
    for n, table in enumerate(tables, start=1):
        kinds = zip(table.columns, table.numeric, strict=True)
        columns = ", ".join(f"{_quoted(name)} {'number' if is_number else 'text'}" for name, is_number in kinds)
        shown.append(f"t{n} ({columns}; {_held(table)})")
    return "; ".join(shown) or "no tables"


def _held(table: Table) -> str:
    held = len(table.rows)
    return f"the first {held:,} of {held + table.left_out:,} rows" if table.left_out else f"{held:,} rows"


# ---------------------------------------------------------------- in the child

# The child finds this module where its parent did, and nothing else.
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from agents.tools.sql import child; child()"


def child() -> None:
    """Answers one query on stdin, as JSON; exits 3 with the reason on stdout where it is refused."""
    import duckdb

    asked = json.loads(sys.stdin.buffer.read())
    with duckdb.connect(":memory:") as connection:
        for n, (columns, numeric, rows) in enumerate(asked["tables"], start=1):
            _create(connection, f"t{n}", columns, numeric, rows)
        # From here on it is a stranger's: files, network and these settings are closed to it, by DuckDB and by the kernel.
        connection.execute(
            f"SET memory_limit = '{MEMORY}'; SET threads = 1; SET temp_directory = ''; "
            "SET enable_external_access = false; SET lock_configuration = true"
        )
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            statements = duckdb.extract_statements(asked["query"])
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                _refuse("the query must be one SELECT")
            result = connection.execute(statements[0])
            rows = result.fetchmany(MAX_ROWS + 1)
        except duckdb.Error as e:
            _refuse(str(e).splitlines()[0])
        columns = [str(column[0]) for column in result.description or ()]
    shown = [[_shown(value) for value in row] for row in rows[:MAX_ROWS]]
    sys.stdout.write(json.dumps({"columns": columns, "rows": shown, "more": len(rows) > MAX_ROWS}))


def _refuse(reason: str) -> NoReturn:
    sys.stdout.write(reason)
    sys.stdout.flush()
    sys.exit(_REFUSED)


def _create(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[str],
    numeric: Sequence[bool],
    rows: Sequence[Sequence[Any]],
) -> None:
    kinds = ["DOUBLE" if is_number else "VARCHAR" for is_number in numeric]
    declared = ", ".join(f"{_quoted(column)} {kind}" for column, kind in zip(columns, kinds, strict=True))
    connection.execute(f"CREATE TABLE {name} ({declared})")
    # Whole columns in one statement: row by row 20,000 take longer than a query may.
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
    connection.execute(f"INSERT INTO {name} SELECT {unnested}", [list(column) for column in zip(*rows, strict=True)])


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 10**WHOLE_DIGITS else f"{value:.15g}"
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
