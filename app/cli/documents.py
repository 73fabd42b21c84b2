"""``openbook documents``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, print_json
from app.replies import Document

app = typer.Typer(no_args_is_help=True, help="List and delete documents.", rich_markup_mode=None)


@app.command("list")
def list_documents(collection: Collection, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the documents of a collection.

    Example: openbook documents list --collection filings
    """
    found: list[Document] = []
    with connected(data_dir, wait=False) as client:
        cursor: str | None = None
        while True:
            page = client.documents(collection, limit=1000, cursor=cursor)
            found += page["documents"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    if as_json:
        print_json({"documents": found})
        return
    if not found:
        print("no document yet")
    for document in found:
        print(f"{document['doc_id']}  {document['pages']:>5} pages {document['chunks']:>6} passages  {document['uri']}")


@app.command("delete")
def delete(
    doc_id: Annotated[str, typer.Argument(help="The document's id, from `openbook documents list`.")],
    purge: Annotated[
        bool, typer.Option("--purge", help="Also take it out of chats and traces, and out of the files themselves.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a document. Quotes of it in past chats remain, unless it is purged.

    Example: openbook documents delete d0123456789abcdef0123456789abcdef
    """
    with connected(data_dir) as client:
        if purge:
            done = client.purge_document(doc_id)
            if as_json:
                print_json(done)
                return
            print(
                f"purged {doc_id}: changed {done['messages']} messages, {done['traces']} traces and {done['chats']} "
                f"chat titles; its original was {done['original']}"
            )
            for place in done["remains"]:
                print(f"it may still be in {place}")
            return
        client.delete_document(doc_id)
    print_json({"deleted": doc_id}) if as_json else print(f"deleted {doc_id}")
