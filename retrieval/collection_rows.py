"""Collections as rows: made, listed, and what is done about personal data in them. Functions on the caller's transaction.

It knows nothing of deleting one, which takes its documents along: that is ``retrieval.store``.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.clock import now_iso
from core.errors import Conflict, NotFound
from core.ids import check_collection_name
from core.types import PiiMode, Principal
from retrieval.access import may_read, readable_collections, require_role, role_column
from retrieval.records import CollectionInfo
from retrieval.tables import collections, documents, editions


def create_collection(
    connection: Connection,
    name: str,
    owner_id: str,
    *,
    pii: PiiMode = "off",
    late: bool = False,
    tokens: bool = True,
    attached_to: str | None = None,
) -> CollectionInfo:
    """``attached_to``: what it belongs to, where it does not stand by itself.

    Raises InvalidRequest for a bad name and Conflict for a name in use (by anybody: names are shared)."""
    check_collection_name(name)
    created_at = now_iso()
    values = {"name": name, "owner_id": owner_id, "created_at": created_at, "pii": pii, "late": late, "tokens": tokens}
    values["attached_to"] = attached_to
    try:
        with connection.begin_nested():
            statement = insert(collections).values(values).returning(collections.c.collection_id)
            collection_id = connection.execute(statement).scalar_one()
    except IntegrityError as e:
        raise Conflict(f"the name {name!r} is in use: choose another", code="collection-exists") from e
    return CollectionInfo(
        collection_id=collection_id,
        name=name,
        documents=0,
        chunks=0,
        created_at=created_at,
        owner_id=owner_id,
        role="owner",
        pii=pii,
        late=late,
        tokens=tokens,
    )


def list_collections(connection: Connection, principal: Principal) -> list[CollectionInfo]:
    """Everything that stands by itself and the principal may read, by name."""
    counts = (
        select(
            documents.c.collection_id,
            func.count().label("documents"),
            func.sum(documents.c.n_chunks).label("chunks"),
            func.sum(documents.c.n_chunks).filter(documents.c.token_revision.is_not(None)).label("with_tokens"),
        )
        .where(documents.c.edition_id.is_(None))
        .group_by(documents.c.collection_id)
        .subquery()
    )
    kept = editions.alias("kept")  # no collection keeps two
    query = (
        select(
            collections,
            kept.c.pipeline.label("previous"),
            func.coalesce(counts.c.documents, 0).label("documents"),
            func.coalesce(counts.c.chunks, 0).label("chunks"),
            func.coalesce(counts.c.with_tokens, 0).label("with_tokens"),
            role_column(principal).label("role"),
        )
        .outerjoin(counts, counts.c.collection_id == collections.c.collection_id)
        .outerjoin(kept, (kept.c.collection_id == collections.c.collection_id) & (kept.c.state == "kept"))
        .where(may_read(principal), collections.c.attached_to.is_(None))
        .order_by(collections.c.name)
    )
    return [CollectionInfo(**row._mapping) for row in connection.execute(query)]


def get_collection(connection: Connection, principal: Principal, name: str) -> CollectionInfo:
    """Raises NotFound."""
    readable_collections(connection, principal, [name])
    return next(c for c in list_collections(connection, principal) if c.name == name)


def attached_collection(connection: Connection, principal: Principal, to: str) -> str | None:
    """The name of what the principal has attached there; None: nothing."""
    query = select(collections.c.name).where(collections.c.attached_to == to, may_read(principal))
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def collection_names(connection: Connection) -> frozenset[str]:
    """Every name in use, whosesoever: for the service's own use."""
    return frozenset(connection.scalars(select(collections.c.name)))


# ---------------------------------------------------------------- late interaction


def set_late(connection: Connection, principal: Principal, name: str, late: bool) -> None:
    """Whether its passages are kept token by token. Raises NotFound, Forbidden: only the owner may."""
    collection_id = require_role(connection, principal, name, ("owner",))
    connection.execute(update(collections).where(collections.c.collection_id == collection_id).values(late=late))


def late_collections(connection: Connection) -> set[int]:
    """The ids of the collections whose passages are kept token by token, whosesoever."""
    return set(connection.scalars(select(collections.c.collection_id).where(collections.c.late.is_(True))))


# ---------------------------------------------------------------- personal data


def set_pii(connection: Connection, principal: Principal, name: str, pii: PiiMode) -> None:
    """What is done about personal data in what is added from now on; what is stored stays as it is.

    Raises:
        NotFound, Forbidden: only the owner may.
        Conflict: it is being indexed anew, under the setting of before.
    """
    collection_id = require_role(connection, principal, name, ("owner",))
    building = (editions.c.collection_id == collection_id) & (editions.c.state == "building")
    if connection.execute(select(editions.c.edition_id).where(building)).first() is not None:
        raise Conflict(
            f"{name} is being indexed anew under the setting of before: wait for that job, or cancel it",
            code="reindexing",
        )
    connection.execute(update(collections).where(collections.c.collection_id == collection_id).values(pii=pii))


def made_at(connection: Connection, name: str) -> str:
    """When the collection that has this name now was made, as ``core.clock`` writes it; asks nobody's rights. Raises NotFound."""
    found = connection.execute(select(collections.c.created_at).where(collections.c.name == name)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"the collection {name!r} is gone", code="unknown-collection")
    return str(found)


def pii_of(connection: Connection, name: str) -> PiiMode:
    """Of a collection, whosesoever: for the service's own use; "off" if it is gone."""
    found = connection.execute(select(collections.c.pii).where(collections.c.name == name)).scalar_one_or_none()
    return cast(PiiMode, found or "off")


def treated_otherwise() -> ColumnElement[bool]:
    """A condition on ``documents`` joined with ``collections``: added under another setting than the collection has now."""
    return func.coalesce(documents.c.metadata["pii"]["mode"].as_string(), "off") != collections.c.pii


def count_treated_otherwise(connection: Connection, name: str) -> int:
    """How many documents of a collection were added under another setting for personal data than it has now."""
    query = (
        select(func.count())
        .select_from(documents.join(collections, collections.c.collection_id == documents.c.collection_id))
        .where(collections.c.name == name, documents.c.edition_id.is_(None), treated_otherwise())
    )
    return connection.execute(query).scalar_one()
