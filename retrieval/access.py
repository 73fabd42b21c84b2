"""Who may see and change a collection. To a stranger a collection does not exist.

Everybody who reads ``documents`` or what hangs on them for a person joins ``collections`` and adds ``may_read``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    literal,
    or_,
    select,
)

from core.errors import Forbidden, NotFound
from core.types import Principal
from retrieval.records import Role
from retrieval.tables import collections, members

_NAMES_SHOWN = 20


def may_read(principal: Principal) -> ColumnElement[bool]:
    """A condition on ``collections``: the principal owns it, is a member, or is an administrator.

    What is attached to something else has no members, and is no administrator's.
    """
    me = literal(principal.user_id)
    return _administers(me) if principal.is_admin else _reads(me)


def _reads(user_id: ColumnElement[str]) -> ColumnElement[bool]:
    membership = exists().where(members.c.collection_id == collections.c.collection_id, members.c.user_id == user_id)
    return or_(collections.c.owner_id == user_id, and_(membership, collections.c.attached_to.is_(None)))


def _administers(user_id: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(collections.c.owner_id == user_id, collections.c.attached_to.is_(None))


def readable_to(statement: Select[Any]) -> Mapping[bool, Select[Any]]:
    """``statement`` for principals who are (True) and are not (False) administrators; bind ``me`` to the user_id.

    For what every search asks: making a statement takes longer than running it.
    """
    me = bindparam("me", type_=String)
    return {True: statement.where(_administers(me)), False: statement.where(_reads(me))}


def role_column(principal: Principal) -> ColumnElement[str]:
    """The principal's role in a collection that ``may_read`` let through."""
    if principal.is_admin:
        return literal("owner")
    role = (
        select(members.c.role)
        .where(and_(members.c.collection_id == collections.c.collection_id, members.c.user_id == principal.user_id))
        .scalar_subquery()
    )
    return case((collections.c.owner_id == principal.user_id, "owner"), else_=role)


_NAMED = readable_to(
    select(collections.c.name, collections.c.collection_id, collections.c.attached_to).order_by(collections.c.name)
)


def readable_collections(
    connection: Connection, principal: Principal, names: Sequence[str] = (), *, attached: bool = False
) -> dict[str, int]:
    """Name → collection_id of ``names`` (empty: of everything that stands by itself and the principal may read).

    Args:
        attached: whether one of ``names`` may be attached to something else; to everybody but those who search or change
            what it is attached to, there is no such collection.

    Raises:
        NotFound: one of ``names`` is not there, or not for this principal; says which ones are.
    """
    query, me = _NAMED[principal.is_admin], {"me": principal.user_id}
    found = {
        name: number
        for name, number, to in connection.execute(query, me)
        if (to is None if not names else name in names and (attached or to is None))
    }
    unknown = [name for name in names if name not in found]
    if unknown:
        visible = [name for name, _, to in connection.execute(query, me) if to is None]
        raise NotFound(f"no collection {unknown[0]!r}: {_valid(visible)}", code="unknown-collection")
    return found


def searched_ids(connection: Connection, principal: Principal, names: Sequence[str]) -> frozenset[int]:
    """The ids of what a search by ``names`` reads (none: of everything that stands by itself), attached ones among them; of what
    is not there, or not for this principal, none."""
    query, me = _NAMED[principal.is_admin], {"me": principal.user_id}
    rows = connection.execute(query, me)
    return frozenset(number for name, number, to in rows if (name in names if names else to is None))


def _valid(names: list[str]) -> str:
    if not names:
        return "you have none yet; create it first"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"you have {', '.join(names[:_NAMES_SHOWN])}{more}"


def require_role(
    connection: Connection, principal: Principal, name: str, allowed: Sequence[Role], *, attached: bool = False
) -> int:
    """The id of a collection in which the principal has one of the ``allowed`` roles; ``attached`` as above.

    Raises:
        NotFound: it does not exist for this principal.
        Forbidden: it does, but the role does not suffice.
    """
    collection_id = readable_collections(connection, principal, [name], attached=attached)[name]
    query = select(role_column(principal)).where(collections.c.collection_id == collection_id)
    role = connection.execute(query).scalar_one()
    if role not in allowed:
        raise Forbidden(f"you are {role} of collection {name!r}: only {' or '.join(allowed)} may do that")
    return collection_id
