"""``openbook users``, ``keys``, ``members`` and ``audit``: who may come in, and what was done."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, fail, print_json
from app.client import Client

users = typer.Typer(no_args_is_help=True, help="Add people, let them in and out.", rich_markup_mode=None)
keys = typer.Typer(no_args_is_help=True, help="Make, list and delete API keys.", rich_markup_mode=None)
members = typer.Typer(no_args_is_help=True, help="Let people into a collection.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="The person's name.")]


@users.command("first-token")
def first_token(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Print a one-time token for who becomes the first administrator; an earlier one counts no more.

    Example: openbook users first-token
    """
    with connected(data_dir, wait=False) as client:
        token = client.first_token()
    if token is None:
        raise fail("there is an administrator already: they invite further people")
    print_json({"token": token}) if as_json else print(token)


@users.command("list")
def list_users(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List everybody.

    Example: openbook users list
    """
    with connected(data_dir, wait=False) as client:
        found = client.users()
    if as_json:
        print_json({"users": found})
        return
    for user in found:
        state = "shut out" if not user["active"] else "invited" if user["invited"] else "signs in"
        print(f"{user['name']:<32} {state:<9} {'administrator' if user['is_admin'] else ''}".rstrip())


@users.command("add")
def add_user(
    name: Name,
    admin: Annotated[bool, typer.Option("--admin", help="As an administrator.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Add a person; prints a one-time token with which they set their password, at the page's /account/join.

    Example: openbook users add Ada
    """
    with connected(data_dir, wait=False) as client:
        made = client.add_user(name, admin)
    print_json(made) if as_json else print(made["invite"])


@users.command("invite")
def invite(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Print another one-time token, for who has lost the first, or the password.

    Example: openbook users invite Ada
    """
    with connected(data_dir, wait=False) as client:
        made = client.invite_user(_user_id(client, name))
    print_json(made) if as_json else print(made["invite"])


@users.command("set")
def change_user(
    name: Name,
    active: Annotated[bool | None, typer.Option("--in/--out", help="Let them in, or shut them out at once.")] = None,
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="Whether they administer.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let somebody in or out, or make an administrator of them; their sessions end.

    Example: openbook users set Ada --out
    """
    if active is None and admin is None:
        raise typer.BadParameter("say what is to be changed: --in, --out, --admin or --no-admin")
    with connected(data_dir, wait=False) as client:
        changed = client.change_user(_user_id(client, name), active, admin)
    print_json(changed) if as_json else print(f"changed {changed['name']}")


@keys.command("create")
def make_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="read, ask, write, admin (again for more).")] = None,
    days: Annotated[int, typer.Option(min=0, help="Until it ends; 0: never.")] = 90,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an API key and print it, this once. Programs give it as `Authorization: Bearer …`, commands as OPENBOOK_API_KEY.

    Example: openbook keys create nightly --scope read --scope write
    """
    with connected(data_dir, wait=False) as client:
        made = client.make_key(name, scope or ["read", "ask"], days or None)
    print_json(made) if as_json else print(made["key"])


@keys.command("list")
def list_keys(
    everybody: Annotated[bool, typer.Option("--everybody", help="Everybody's, for administrators.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List API keys: what they begin with, what they may do and until when.

    Example: openbook keys list
    """
    with connected(data_dir, wait=False) as client:
        found = client.keys(everybody)
    if as_json:
        print_json({"keys": found})
        return
    for key in found:
        until = (key["expires_at"] or "no end")[:10]
        print(f"{key['key_id']}  {key['prefix']}…  {until:<10}  {' '.join(key['scopes']):<22} {key['name']}")


@keys.command("delete")
def delete_key(
    key_id: Annotated[str, typer.Argument(help="Its id, of `openbook keys list`.")], data_dir: DataDir = None
) -> None:
    """Delete an API key, which ends it at once.

    Example: openbook keys delete k0123456789abcdef
    """
    with connected(data_dir, wait=False) as client:
        client.delete_key(key_id)
    print(f"deleted {key_id}")


@members.command("list")
def list_members(collection: Collection, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List who may see a collection, the owner first.

    Example: openbook members list --collection filings
    """
    with connected(data_dir, wait=False) as client:
        found = client.members(collection)
    if as_json:
        print_json({"members": found})
        return
    for member in found:
        print(f"{member['name']:<32} {member['role']}")


@members.command("set")
def set_member(
    name: Name,
    role: Annotated[str, typer.Argument(help="reader, editor or owner.")],
    collection: Collection,
    data_dir: DataDir = None,
) -> None:
    """Let somebody into a collection, or give them another role.

    Example: openbook members set Ada reader --collection filings
    """
    with connected(data_dir, wait=False) as client:
        client.set_member(collection, name, role)
    print(f"{name} is {role} of {collection}")


@members.command("remove")
def remove_member(name: Name, collection: Collection, data_dir: DataDir = None) -> None:
    """Shut somebody out of a collection, at once.

    Example: openbook members remove Ada --collection filings
    """
    with connected(data_dir, wait=False) as client:
        client.remove_member(collection, name)
    print(f"{name} is no member of {collection} any more")


def audit(
    action: Annotated[str | None, typer.Option(help='Its beginning: "key" for all that was done to keys.')] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show who did what, when, to what.

    Example: openbook audit --action member --limit 20
    """
    with connected(data_dir, wait=False) as client:
        found = client.audit(action=action, limit=limit)
    if as_json:
        print_json(found)
        return
    for entry in found["entries"]:
        print(_audit_line(entry))


def _audit_line(entry: dict[str, Any]) -> str:
    refused = "" if entry["outcome"] == "done" else f"   {entry['outcome']}"
    who = entry["name"] or entry["user_id"] or "nobody known"
    return f"{entry['at'][:19]}  {who:<20} {entry['action']:<22} {entry['target']}{refused}".rstrip()


def _user_id(client: Client, name: str) -> str:
    found = [u for u in client.users() if u["name"].casefold() == name.casefold()]
    if not found:
        raise fail(f"nobody is called {name!r}: there are {', '.join(u['name'] for u in client.users())}")
    return str(found[0]["user_id"])
