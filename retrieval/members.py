"""Who is let into a collection, by its owner. SQL on ``members`` and on the owner of ``collections``.

It knows people by their ids alone; what they are called, ``app.identity`` knows.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from core.errors import Conflict, NotFound
from core.types import Principal
from retrieval.access import readable_collections, require_role
from retrieval.records import Role
from retrieval.tables import collections, members


def list_members(connection: Connection, principal: Principal, name: str) -> list[tuple[str, Role]]:
    """(user_id, role), the owner first. Raises NotFound for who may not read it."""
    collection_id = readable_collections(connection, principal, [name])[name]
    owner = connection.scalar(select(collections.c.owner_id).where(collections.c.collection_id == collection_id))
    query = select(members.c.user_id, members.c.role).where(members.c.collection_id == collection_id)
    rows = connection.execute(query.order_by(members.c.role, members.c.user_id))
    return [(str(owner), "owner"), *((row.user_id, row.role) for row in rows if row.user_id != owner)]


def set_member(connection: Connection, principal: Principal, name: str, user_id: str, role: Role) -> None:
    """Lets somebody in as reader or editor; as owner, who was the owner becomes an editor.

    Raises:
        NotFound, Forbidden: see ``retrieval.access.require_role``; only the owner may.
        Conflict: the owner's own role is to be another, and nobody would own the collection.
    """
    collection_id = require_role(connection, principal, name, ("owner",))
    this = collections.c.collection_id == collection_id
    owner = str(connection.scalar(select(collections.c.owner_id).where(this)))
    if role == "owner":
        if owner == user_id:
            return
        connection.execute(update(collections).where(this).values(owner_id=user_id))
        gone = members.c.collection_id == collection_id, members.c.user_id == user_id
        connection.execute(delete(members).where(*gone))
        user_id, role = owner, "editor"
    elif owner == user_id:
        raise Conflict(f"{name} would have no owner: make somebody else the owner first", code="no-owner")
    added = insert(members).values(collection_id=collection_id, user_id=user_id, role=role)
    key = [members.c.collection_id, members.c.user_id]
    connection.execute(added.on_conflict_do_update(index_elements=key, set_={"role": role}))


def remove_member(connection: Connection, principal: Principal, name: str, user_id: str) -> None:
    """Shuts somebody out; whoever is no owner may do that to themselves.

    Raises:
        NotFound: no such collection for this person, or no such member.
        Forbidden: only the owner may.
        Conflict: the owner is meant.
    """
    if user_id == principal.user_id:
        collection_id = readable_collections(connection, principal, [name])[name]
    else:
        collection_id = require_role(connection, principal, name, ("owner",))
    if connection.scalar(select(collections.c.owner_id).where(collections.c.collection_id == collection_id)) == user_id:
        raise Conflict(f"the owner of {name} cannot be removed: make somebody else the owner first", code="no-owner")
    this = members.c.collection_id == collection_id, members.c.user_id == user_id
    if connection.execute(delete(members).where(*this)).rowcount == 0:
        raise NotFound(f"that person is no member of {name}", code="unknown-member")


def every_collection(connection: Connection) -> list[tuple[str, str]]:
    """(name, owner's user_id) of all collections that stand by themselves, for who has to see to those whose owner has gone."""
    by_itself = collections.c.attached_to.is_(None)
    query = select(collections.c.name, collections.c.owner_id).where(by_itself).order_by(collections.c.name)
    rows = connection.execute(query)
    return [(row.name, row.owner_id) for row in rows]
