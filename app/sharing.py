"""Sharing a conversation with the people of this server, and taking that back."""

from __future__ import annotations

from collections.abc import Callable

from app.chat_tables import Chat
from app.services import Services
from core.errors import Conflict
from core.types import Principal
from retrieval.collection_rows import attached_collection


def share(services: Services, principal: Principal, chat_id: str, check: Callable[[], None] | None = None) -> Chat:
    """Lets everybody read it who may read each of the collections that its answers were looked for in, later ones included.

    Args:
        check: as for ``Chats.update``.

    Raises:
        NotFound: there is no such conversation of this person.
        Conflict: nobody else is here, it has files of its own, or nobody knows what its answers were looked for in.
    """
    with services.database.write() as connection:
        services.chats.check(connection, principal, chat_id)
        if services.settings.identity == "none":
            raise Conflict(
                'nobody else can be here: conversations are shared where people sign in (identity = "password")',
                code="nobody-to-share-with",
            )
        if check is not None:
            check()
        if attached_collection(connection, principal, chat_id) is not None:
            raise Conflict(
                "this conversation has files of its own, which nobody but you may see, and its answers may quote them: put the "
                "files into a collection, ask that in a new conversation, and share it",
                code="own-files",
            )
        return services.chats.share(connection, principal, chat_id, True)


def unshare(services: Services, principal: Principal, chat_id: str) -> Chat:
    """From now on it is its owner's alone. Raises NotFound."""
    with services.database.write() as connection:
        return services.chats.share(connection, principal, chat_id, False)
