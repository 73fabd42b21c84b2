"""Alembic's environment and the steps of the schema; run by ``core.database.migrate``."""
