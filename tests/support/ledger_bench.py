"""A ledger of jobs on a desk of its own: a database, a clock that tests turn, and every call in a transaction."""

from __future__ import annotations

from pathlib import Path

from core.database import migrate, open_database
from core.types import Principal
from ingest import ledger_listing, ledger_people
from ingest.ledger import Ledger
from retrieval.collection_rows import create_collection
from retrieval.tables import collections

MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"
ANN, BOB, ADMIN = Principal(user_id="ann"), Principal(user_id="bob"), Principal(user_id="root", is_admin=True)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Bench:
    """A ledger with its database; every call its own transaction, as the service does it."""

    def __init__(self, path, **limits):
        self.clock = Clock()
        self.database = open_database(path)
        migrate(self.database, MIGRATIONS)
        self.ledger = Ledger(clock=self.clock, lease_s=60, **limits)

    def __getattr__(self, name):
        change = getattr(self.ledger if hasattr(self.ledger, name) else ledger_people, name)

        def call(*args, **kwargs):
            with self.database.write() as connection:
                return change(connection, *args, **kwargs)

        return call

    def create(self, collection, owner=ANN):
        with self.database.write() as connection:
            create_collection(connection, collection, owner.user_id)

    def drop(self, collection):
        with self.database.write() as connection:
            connection.execute(collections.delete().where(collections.c.name == collection))

    def get(self, *args):
        return ledger_listing.get_job(self.database, *args)

    def list_jobs(self, *args, **kwargs):
        return ledger_listing.list_jobs(self.database, *args, **kwargs)

    def counts(self, *args):
        return ledger_listing.count_jobs(self.database, *args)

    def events_since(self, *args):
        return ledger_listing.events_since(self.database, *args)

    def add(self, principal=ANN, file="a.pdf", collection="c"):
        with self.database.write() as connection:
            return self.ledger.add(
                connection,
                principal=principal,
                collection=collection,
                file=file,
                uri=file,
                sha256="00",
                size=3,
                chunker="fixed",
            )

    def finish(self, job_id, **kwargs):
        with self.database.write() as connection:
            return self.ledger.finish(
                connection, job_id, **{"doc_id": "d1", "pages": 2, "chunks": 5, "seconds": 1.5, **kwargs}
            )
