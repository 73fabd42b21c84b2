"""Tables of a document, read back and asked in SQL: what is found, and what a stranger's query cannot do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.desk import Desk
from agents.limits import Budget
from agents.run import Provenance, Recorder
from agents.tools.markdown_tables import number, tables_in, text_of
from agents.tools.reading import Reading
from agents.tools.sql import MAX_ROWS, described, select
from agents.tools.table import TableTool, shown
from agents.tools.toolbox import Toolbox, wrong_arguments
from core.errors import ToolFailed
from core.offload import Offload
from core.types import Limits, ToolCall
from lm.scripted import ScriptedLM
from tests.support.kits import PassageShelf, kit_of
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

SALES = """# Sales of the harbour

| Year | Net sales | Change | Region |
|---|---:|---:|---|
| 2021 | $ 1,204.5 | (3.2)% | north |
| 2022 | $ 1,310.0 | 8.8 % | north |
| 2023 | $ 990.25 | — | a \\| b |

Two notes follow.

Name | Age
--- | ---
| Ada | 36 |
| Bo |
"""


def test_tables_are_read_with_their_types() -> None:
    first, second = tables_in(SALES)
    assert first.columns == ("Year", "Net sales", "Change", "Region")
    assert first.numeric == (True, True, True, False)
    assert first.rows[0] == (2021.0, 1204.5, -3.2, "north") and first.rows[2] == (2023.0, 990.25, None, "a | b")
    assert second.columns == ("Name", "Age") and second.rows == (("Ada", 36.0), ("Bo", None))


def test_what_only_looks_like_a_table_is_none() -> None:
    assert tables_in("| a | b |\n| c | d |\n") == []
    assert tables_in("a | b\n---|---\n") == []  # no row
    assert tables_in("Heading\n---\n| a |\n") == []
    assert tables_in("") == []


def test_names_are_made_distinct_as_sql_sees_them() -> None:
    (table,) = tables_in("| | total | Total | |\n|---|---|---|---|\n| 1 | 2 | 3 | 4 |\n")
    assert table.columns == ("column 1", "total", "Total 2", "column 4")


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1,234.5", 1234.5), ("(3.4)", -3.4), ("−5", -5), ("$ 12", 12), ("-$12", -12), ("12 %", 12), (".5", 0.5),
     ("1,23", None), ("12 apples", None), ("", None), ("2021-05-01", None), ("1.2.3", None)],
)  # fmt: skip
def test_a_figure_is_read_as_reports_write_it(cell: str, value: float | None) -> None:
    assert number(cell) == value


def test_a_table_that_passages_cut_in_two_is_one_again() -> None:
    # Between two rows, and with an overlap: as chunkers cut.
    first, second = SALES.index("\n| 2022"), SALES.index("\n| 2023")
    cuts = ((0, first), (first + 1, second), (first + 1, len(SALES)))
    stored = StoredText(doc_id="d", title="t", text=SALES, cuts=cuts)
    passages = PassageShelf(PassageRetriever([stored])).passages("d", EVERYTHING)
    assert tables_in(text_of(passages)) == tables_in(SALES)


def test_a_select_answers_over_all_tables() -> None:
    tables = tables_in(SALES)
    found = select('SELECT max("Net sales") AS best, count(*) FROM t1', tables)
    assert (found.columns[0], found.rows, found.more) == ("best", (("1310", "3"),), False)
    joined = select('SELECT "Region", "Age" FROM t1, t2 WHERE "Name" = \'Ada\' AND "Year" = 2023', tables)
    assert joined.rows == (("a | b", "36"),)
    many = select("SELECT * FROM range(1000)", tables)
    assert len(many.rows) == MAX_ROWS and many.more


PARCELS = """| ZIP | EAN | Account | Revenue | Share |
|---|---|---|---|---|
| 02139 | 4006381333931 | 1234567890123456789 | 45,095,325,123,456 | 0.30000000000000004 |
| 94103 | 4006381333948 | 12 | 12,345,678,901.23 | 0.5 |
"""


def test_a_figure_comes_back_as_it_stands() -> None:
    tables = tables_in(PARCELS)
    assert tables[0].numeric == (False, True, False, True, True)  # a postcode, and an account that no float holds
    assert select("SELECT * FROM t1", tables).rows == (
        ("02139", "4006381333931", "1234567890123456789", "45095325123456", "0.3"),
        ("94103", "4006381333948", "12", "12345678901.23", "0.5"),
    )
    assert select('SELECT sum("EAN"), 1e300, avg("Share") / 3 FROM t1', tables).rows == (
        ("8012762667879", "1e+300", "0.133333333333333"),
    )


def test_a_table_longer_than_is_read_says_so_and_is_read_in_time() -> None:
    columns = range(12)
    rows = "".join("|".join(["", *(f"text {i}" if c % 2 else str(i) for c in columns), "\n"]) for i in range(20_005))
    tables = tables_in(f"|{'|'.join(f'c{c}' for c in columns)}|\n{'|---' * 12}|\n{rows}" + SALES)
    assert "the first 20,000 of 20,005 rows); t2 (" in described(tables)
    found = select("SELECT count(*), max(c10), max(c11) FROM t1", tables)
    assert found.rows == (("20000", "19999", "text 9999"),)
    assert shown(found).endswith("\n(t1 has only the first 20,000 of 20,005 rows: a count or a sum is of those)")
    assert not select("SELECT count(*) FROM t2", tables).cut


def test_a_mistake_is_answered_with_what_there_is() -> None:
    with pytest.raises(
        ToolFailed, match=r't1 \("Year" number, "Net sales" number.*t2 \("Name" text, "Age" number; 2 rows\)'
    ):
        select("SELECT Profit FROM t1", tables_in(SALES))
    assert described([]) == "no tables"


FORBIDDEN = (
    "DROP TABLE t1",
    "SELECT 1; SELECT 2",
    "SET enable_external_access = true",
    "COPY t1 TO '{path}'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
)
ALSO_FORBIDDEN = (
    "",
    "INSERT INTO t1 VALUES (1, 2, 3, 'x')",
    "CREATE TABLE x (a INT)",
    "PRAGMA database_list",
    "ATTACH '{path}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "EXPORT DATABASE '{path}'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_csv('http://127.0.0.1:9/x')",
    "SELECT getenv('PATH')",
    "CALL pragma_version()",
)


@pytest.mark.parametrize("query", [*FORBIDDEN, *(pytest.param(q, marks=pytest.mark.slow) for q in ALSO_FORBIDDEN)])
def test_a_query_reaches_nothing_outside_of_the_tables(query: str, tmp_path: Path) -> None:
    path = tmp_path / "escaped"
    with pytest.raises(ToolFailed):
        select(query.format(path=path), tables_in(SALES))
    assert not path.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "SELECT list(range) FROM range(200000000)",
        "SELECT repeat('x', 2000000000)",
    ],
)
def test_a_query_without_end_is_stopped(query: str) -> None:
    began = time.monotonic()
    with pytest.raises(ToolFailed):
        select(query, tables_in(SALES), seconds=1.0)
    assert time.monotonic() - began < 20  # what stops it is the limit; this only tells it from never


# ---------------------------------------------------------------- as a tool of a run


@pytest.fixture
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


def test_a_run_asks_the_tables_of_what_it_found(offload: Offload) -> None:
    document = StoredText(doc_id="d", title="Sales", text=SALES)
    bare = StoredText(doc_id="e", title="Plain", text="The lighthouse has no table.")
    recorder = Recorder(run_id="r-1", strategy="test", question="?", provenance=Provenance())
    kit = kit_of(PassageRetriever([document, bare]), ScriptedLM([]), offload)
    desk = Desk(kit, recorder, Budget(Limits(max_tool_calls=9)), EVERYTHING, lambda _event: None)
    reading = Reading(desk)
    toolbox = Toolbox([TableTool(reading)], desk.budget)

    def call(**arguments: object) -> tuple[str, bool]:
        result = asyncio.run(toolbox.call(ToolCall(call_id="1", name="table", arguments=arguments)))
        return result.content, result.error

    assert call(passage=1) == ("there is no passage [1]: there are none yet: search first", True)
    asyncio.run(reading.search("harbour sales"))
    assert call(passage=1)[0].startswith('Tables: t1 ("Year" number, "Net sales" number')
    said, error = call(passage=1, query='SELECT "Year", "Net sales" FROM t1 WHERE "Change" < 0')
    assert (said, error) == ("Year | Net sales\n2021 | 1204.5", False)
    assert call(passage=1, query="SELECT * FROM t1 WHERE false") == ("No rows.", False)
    said, error = call(passage=1, query="DELETE FROM t1")
    assert said.startswith("the query must be one SELECT. There are: t1") and error
    asyncio.run(reading.search("lighthouse"))
    assert call(passage=2, query="SELECT 1") == ("Tables: no tables", False)
    assert "'passage' is missing" in wrong_arguments(TableTool.spec, {"query": "SELECT 1"})
