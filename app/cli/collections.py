"""``openbook collections``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, DataDir, connected, print_json

app = typer.Typer(no_args_is_help=True, help="List, create and delete collections.", rich_markup_mode=None)


class PiiChoice(enum.StrEnum):
    off = "off"
    flag = "flag"
    redact = "redact"


PII_HELP = (
    "E-mail addresses, phone numbers, IBANs (and names, with OPENBOOK_PII_NAMES_MODEL) in what is added: leave, count, or "
    "take out before it is stored."
)
PiiOption = Annotated[PiiChoice, typer.Option("--pii", help=PII_HELP)]
LATE_HELP = "Index its passages token by token, for `search --retriever late`; takes time and room."
TOKENS_HELP = (
    "Keep token vectors, by which searches are reranked: 64 bytes for each word piece. Default: the settings'."
)
Name = Annotated[str, typer.Argument(help="The collection's name.")]


@app.command("list")
def list_collections(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the collections.

    Example: openbook collections list
    """
    with connected(data_dir, wait=False) as client:
        found = client.collections()
    if as_json:
        print_json({"collections": found})
        return
    if not found:
        print("no collection yet: make one with `openbook collections create NAME`")
    for collection in found:
        own = f"   fusion {fusion_text(collection['fusion'])}" if collection.get("fusion") else ""
        lacking = collection["chunks"] - collection.get("with_tokens", 0) if collection.get("tokens") else 0
        own += f"   {lacking} without token vectors yet" if lacking else ""
        print(
            f"{collection['name']:<32} {collection['documents']:>7} documents {collection['chunks']:>9} passages{own}"
        )


def fusion_text(weights: Mapping[str, Any] | None) -> str:
    """For people: "convex, alpha 0.45, depth 200"."""
    if not weights:
        return "as the settings say"
    own = f"alpha {weights['alpha']:g}" if weights["fusion"] == "convex" else f"k {weights['rrf_k']}"
    return f"{weights['fusion']}, {own}, depth {weights['depth']}"


@app.command("create")
def create(
    name: Name,
    pii: PiiOption = PiiChoice.off,
    late: Annotated[bool, typer.Option("--late", help=LATE_HELP)] = False,
    tokens: Annotated[bool | None, typer.Option("--tokens/--no-tokens", help=TOKENS_HELP)] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Create a collection.

    Example: openbook collections create filings
    """
    with connected(data_dir, wait=False) as client:
        made = client.create_collection(name, pii=pii.value, late=late or None, tokens=tokens)
    print_json(made) if as_json else print(f"made {name}")


@app.command("set")
def change(
    name: Name,
    pii: Annotated[PiiChoice | None, typer.Option("--pii", help=PII_HELP)] = None,
    late: Annotated[bool | None, typer.Option("--late/--no-late", help=LATE_HELP)] = None,
    tokens: Annotated[bool | None, typer.Option("--tokens/--no-tokens", help=TOKENS_HELP)] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change what is done about personal data in what is added from now on, or what is kept of passages token by token.

    Example: openbook collections set letters --pii redact
    """
    if pii is None and late is None and tokens is None:
        raise typer.BadParameter("say what is to be changed: --pii, --late, --no-late, --tokens or --no-tokens")
    with connected(data_dir) as client:
        changed = client.change_collection(name, pii=pii.value if pii is not None else None, late=late, tokens=tokens)
    if as_json:
        print_json(changed)
        return
    if late is not None:
        print(f"{name}: {'its passages are being read token by token' if late else 'no late interaction any more'}")
    if tokens is not None:
        print(
            f"{name}: {'token vectors are kept; what has none is read now' if tokens else 'no token vectors any more'}"
        )
    if pii is None:
        return
    print(f"{name}: {changed['pii']}")
    if changed["unlike"]:
        print(
            f"{changed['unlike']} of its documents were added under another setting and stay as they are: add them again"
        )


@app.command("delete")
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with all its documents. Quotes of them in past chats remain.

    Example: openbook collections delete filings --yes
    """
    if not yes:
        typer.confirm(f"Delete the collection {name} with all its documents?", abort=True, err=True)
    with connected(data_dir) as client:
        client.delete_collection(name)
    print_json({"deleted": name}) if as_json else print(f"deleted {name}")


@app.command("drop-previous")
def drop_previous(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Give up what `openbook rollback` would go back to, and the room that it takes.

    Example: openbook collections drop-previous filings
    """
    with connected(data_dir) as client:
        client.delete_previous(name)
    print_json({"dropped": name}) if as_json else print(f"{name} has no way back any more")
