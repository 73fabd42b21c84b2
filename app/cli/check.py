"""``openbook check``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.answer_text import QUOTED, mark, sentence_line
from app.cli.common import AsJson, Collection, DataDir, connected, print_json
from core.wording import shortened


def check(
    claim: Annotated[str, typer.Argument(help="What is claimed; one sentence or several.")],
    collection: Collection,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check a claim against your documents: supported, refuted or not enough, with the passages.

    Example: openbook check "Net sales grew by 12 percent in 2023." --collection filings
    """
    with connected(data_dir) as client:
        found = client.check(claim, [collection])
    if as_json:
        print_json(dict(found))
        return
    print(found["verdict"])
    if found["reason"]:
        print(f"  {found['reason']}")
    if len(found["sentences"]) > 1:
        print()
        for sentence in found["sentences"]:
            print(sentence_line(sentence))
    for conflict in found["conflicts"]:
        if conflict["text"] != found["reason"]:
            print(f"\n  {conflict['text']}")
    if found["passages"]:
        print()
    for passage in found["passages"]:
        page = f", page {passage['page']}" if passage["page"] else ""
        date = f" ({passage['date']})" if passage["date"] else ""
        print(
            f"  [{passage['n']}] {mark(passage['verdict'])} {passage['title']}{date}{page}: “{shortened(passage['quote'], QUOTED)}”"
        )
