"""Questions in SQL to the tables of a document that was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.tools.markdown_tables import tables_in, text_of
from agents.tools.reading import Reading, schema
from agents.tools.sql import MAX_ROWS, Rows, described, select
from core.types import ToolResult, ToolSpec


class TableTool:
    """A ``core.protocols.Tool``. Reads only; see ``agents.tools.sql`` for its bounds."""

    spec = ToolSpec(
        name="table",
        description=(
            "Runs one SELECT (DuckDB) over the tables of the document that a passage is from; they are named t1, t2, … in the "
            "order of the document. Without a query it says which tables and columns there are. Names with spaces go in "
            "double quotes."
        ),
        parameters=schema(
            passage={"type": "integer", "description": "a passage of the document, the n of [n]"},
            query={"type": "string", "description": 'such as SELECT "Year", "Net sales" FROM t1', "optional": True},
        ),
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        reading = self._reading
        passages = await reading.document(arguments["passage"])
        offload = reading.desk.kit.offload

        def answer() -> str:
            tables = tables_in(text_of(passages))
            query = str(arguments.get("query", "")).strip()
            if not query or not tables:
                return f"Tables: {described(tables)}"
            return shown(select(query, tables))

        content = await reading.desk.budget.bounded(offload(answer))
        return ToolResult(call_id="", content="\n".join(map(reading.desk.inert, content.split("\n"))))


def shown(found: Rows) -> str:
    """As lines of cells, the header first; then what is not there."""
    lines = [" | ".join(row) for row in (found.columns, *found.rows)] if found.rows else ["No rows."]
    lines += [f"(the first {MAX_ROWS} rows)"] if found.more else []
    lines += [f"({found.cut}: a count or a sum is of those)"] if found.cut else []
    return "\n".join(lines)
