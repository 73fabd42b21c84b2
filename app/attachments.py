"""Files of one conversation: a collection attached to it, that is listed nowhere, is its owner's alone, and goes with it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.intake import Accepting
from app.services import Services
from app.upkeep.purge import note_purge, wipe
from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import attached_name
from core.types import Principal
from ingest.job import Job
from ingest.ledger_listing import jobs_of_one, originals_of
from retrieval.collection_rows import attached_collection
from retrieval.reading import get_document_info
from retrieval.records import Change

MAX_FILES = 20  # of one conversation; what is more than that is a collection


def accept_attachments(services: Services, principal: Principal, chat_id: str) -> Accepting:
    """Takes files of a conversation, as ``intake.accept_files`` does of a collection.

    Raises:
        NotFound: there is no such conversation of this person.
        Conflict: others read it, and nobody but its owner may see what its files say.
    """
    with services.database.write() as connection:
        if services.chats.check(connection, principal, chat_id).shared_at is not None:
            raise Conflict(
                "this conversation is shared, and files of its own are for your eyes alone: stop sharing it first, or ask about "
                "the files in another conversation",
                code="shared",
            )
        name = attached_collection(connection, principal, chat_id)
        if name is None:
            name = attached_name(chat_id)
            tokens = services.settings.token_vectors
            services.store.create_collection(connection, name, principal.user_id, tokens=tokens, attached_to=chat_id)
    return Accepting(services, principal, name, "")


def check_room(services: Services, principal: Principal, chat_id: str, filename: str) -> None:
    """Raises InvalidRequest where one more file would be too many; one of the same name takes the place of the older."""
    names = {job.file for job in attached_files(services, principal, chat_id)}
    if len(names | {filename}) > MAX_FILES:
        raise InvalidRequest(
            f"a conversation takes {MAX_FILES} files, and {filename} would be one more: take one away, or put them into a "
            "collection and ask that",
            code="too-many-files",
        )


def attached_files(services: Services, principal: Principal, chat_id: str) -> list[Job]:
    """The last job of each file of a conversation, in the order in which they came; not of one that was taken away.

    Raises NotFound for another person's conversation.
    """
    services.chats.get(principal, chat_id)
    newest: dict[str, Job] = {}
    for job in _jobs(services, principal, chat_id, parts=False):
        newest.setdefault(job.file, job)
    return [job for job in reversed(newest.values()) if _is_there(services, principal, job)]


def detach(services: Services, principal: Principal, chat_id: str, job_id: str) -> None:
    """Takes one file away from a conversation, with all that came out of it; what answers quote of it stays.

    Raises NotFound where it is none of this conversation's.
    """
    services.chats.get(principal, chat_id)
    jobs = _jobs(services, principal, chat_id, parts=True)
    gone = next((job for job in jobs if job.job_id == job_id), None)
    if gone is None:
        raise NotFound(
            f"no file {job_id!r} in this conversation: GET /v1/chats/{chat_id} lists them", code="unknown-job"
        )
    same = {job.job_id for job in jobs if job.file == gone.file}
    while more := {job.job_id for job in jobs if job.parent_id in same} - same:
        same |= more  # of an archive within a mail, say
    changes: list[Change] = []
    with services.database.write() as connection:
        for job in jobs:
            if job.job_id not in same:
                continue
            if job.doc_id is not None and _document_is_there(services, principal, job.doc_id, connection):
                changes.append(services.store.delete_document(connection, principal, job.doc_id))
            services.ledger.forget_document(connection, job.collection, job.uri)
    if changes:
        services.engine.publish_all(changes)
    services.store.remove_originals([job.sha256 for job in jobs if job.job_id in same and job.sha256])


def searched_in(
    services: Services, principal: Principal, chat_id: str, collections: Sequence[str], *, only_files: bool
) -> tuple[str, ...]:
    """The collections that a question of a conversation is asked of, the attached one among them if there is one.

    Raises InvalidRequest where only its files are to be asked, and there are none.
    """
    with services.database.read() as connection:
        name = attached_collection(connection, principal, chat_id)
    if name is None:
        if only_files:
            raise InvalidRequest(
                "this conversation has no files of its own: attach one, or ask collections", code="no-files"
            )
        return tuple(collections)
    if only_files:
        return (name,)
    return (*(collections or [c.name for c in services.store.list_collections(principal)]), name)


def delete_chat(services: Services, principal: Principal, chat_id: str, *, purge: bool = False) -> None:
    """Deletes a conversation with the traces of its runs and with its files.

    Args:
        purge: until no byte of them is left in the files of the data directory, which takes as long as the database is large.

    Raises:
        NotFound: it is not there, or another person's.
        NotReady: it has files, or is to be purged, and the indexes are still loading.
    """
    with services.database.read() as connection:
        services.chats.check(connection, principal, chat_id)
        has_files = attached_collection(connection, principal, chat_id) is not None
    engine = services.engine if has_files or purge else None
    if purge:
        note_purge(services.data_dir)
    change: Change | None = None
    held: Sequence[str] = ()
    with services.database.write() as connection:
        runs = services.chats.delete(connection, principal, chat_id)
        services.traces.delete(connection, principal, runs)
        name = attached_collection(connection, principal, chat_id)
        if name is not None:
            engine = engine or services.engine  # attached just now
            held = originals_of(connection, name)
            change = services.store.delete_collection(connection, principal, name, attached=True)
            services.ledger.forget_collection(connection, name)
    if engine is not None and change is not None:
        engine.publish(change)
        services.store.remove_originals(held)
        services.searching.forget()
    if engine is not None and purge:
        wipe(services.database, engine, services.data_dir)


# ------------------------------------------------------------ small parts


def _jobs(services: Services, principal: Principal, chat_id: str, *, parts: bool) -> list[Job]:
    """Of every file that was attached, with ``parts`` also of what came out of it, the newest first."""
    with services.database.read() as connection:
        name = attached_collection(connection, principal, chat_id)
    return [] if name is None else jobs_of_one(services.database, principal, name, parts=parts)


def _is_there(services: Services, principal: Principal, job: Job) -> bool:
    """Whether a file that became a document still is one."""
    if job.doc_id is None:
        return True
    with services.database.read() as connection:
        return _document_is_there(services, principal, job.doc_id, connection)


def _document_is_there(services: Services, principal: Principal, doc_id: str, connection: Connection) -> bool:
    try:
        get_document_info(connection, principal, doc_id)
    except NotFound:
        return False
    return True
