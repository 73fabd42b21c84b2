"""``openbook documents``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, print_json
from app.replies import Document
from core.ids import document_id

app = typer.Typer(no_args_is_help=True, help="List and delete documents.", rich_markup_mode=None)


@app.command("list")
def list_documents(
    collection: Collection,
    words: Annotated[str, typer.Option(help="Only those of which title and file name have all of these.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only those with one of these (again for each).")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the documents of a collection.

    Example: openbook documents list --collection filings --words "annual 2024" --tag "to read"
    """
    found: list[Document] = []
    with connected(data_dir, wait=False) as client:
        cursor: str | None = None
        while True:
            page = client.documents(collection, limit=200, cursor=cursor, near=True, words=words, tags=tag or ())
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
        said = "".join(f"  [{fact}]" for fact in _facts(document))
        print(
            f"{document['doc_id']}  {document.get('language') or '-':<3} {document['pages']:>5} pages "
            f"{document['chunks']:>6} passages  {document['uri']}{said}"
        )


def _facts(document: Document) -> list[str]:
    near, pii = document.get("near_duplicates"), document.get("pii")
    facts = [f"{near} near-duplicate{'s' if near != 1 else ''}"] if near else []
    if pii is not None and (n := pii["email"] + pii["phone"] + pii["iban"] + pii.get("name", 0)):
        facts.append(f"{n} personal data {'redacted' if pii['mode'] == 'redact' else 'found'}")
    return [*facts, *document.get("tags", [])]


@app.command("tag")
def tag_document(
    doc_id: Annotated[str, typer.Argument(help="The document's id, from `openbook documents list`.")],
    tags: Annotated[
        list[str] | None, typer.Argument(help="In place of those that it was given before; none: takes them off.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Give a document tags, by which lists and searches can be narrowed. They stay when it is replaced or made anew.

    Example: openbook documents tag d0123456789abcdef0123456789abcdef "to read" 2024
    """
    with connected(data_dir, wait=False) as client:
        kept = client.tag_document(doc_id, tags or [])
    print_json({"doc_id": doc_id, "given_tags": kept}) if as_json else print(", ".join(kept) or "no tags")


@app.command("near")
def near(
    doc_id: Annotated[str, typer.Argument(help="The document's id, from `openbook documents list`.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the documents whose text is nearly the same.

    Example: openbook documents near d0123456789abcdef0123456789abcdef
    """
    with connected(data_dir, wait=False) as client:
        found = client.near_duplicates(doc_id)
    if as_json:
        print_json({"near_duplicates": found})
        return
    if not found:
        print("no near-duplicate")
    for other in found:
        print(f"{other['similarity']:.0%}  {other['doc_id']}  {other['collection']}  {other['uri']}")


@app.command("delete")
def delete(
    doc_id: Annotated[
        str, typer.Argument(help="The document's id, from `openbook documents list`; or its name, with --collection.")
    ],
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="In which it has that name.")] = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also take it out of chats and traces, and out of the files themselves.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a document. Quotes of it in past chats remain, unless it is purged, which can be done later, too.

    Example: openbook documents delete d0123456789abcdef0123456789abcdef
    Example: openbook documents delete report.pdf --collection filings --purge
    """
    if collection is not None:
        doc_id = document_id(collection, doc_id)
    with connected(data_dir) as client:
        if purge:
            done = client.purge_document(doc_id)
            if as_json:
                print_json(done)
                return
            print(
                f"purged {doc_id}{', which was deleted before' if done['deleted_before'] else ''}: changed {done['messages']} messages, {done['traces']} traces and {done['chats']} "
                f"chat titles; its original was {done['original']}"
            )
            for place in done["remains"]:
                print(f"it may still be in {place}")
            return
        client.delete_document(doc_id)
    if as_json:
        print_json({"deleted": doc_id})
        return
    print(f"deleted {doc_id}; what chats quote of it stays: to take that out, too, say it again with --purge")
