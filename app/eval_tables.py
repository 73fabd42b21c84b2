"""The tables of the evaluation lab, as ``app.eval_sets`` and ``app.eval_runs`` use them; nobody else does."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table, Text

from core.database import metadata

eval_sets = Table(
    "eval_sets",
    metadata,
    Column("set_id", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column(
        "collection_id",
        Integer,
        ForeignKey("collections.collection_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", String, nullable=False),
    Column("origin", JSON, nullable=False),  # how it was made: by rule with which seed, or from which file
    Column("created_at", String, nullable=False),
)

eval_questions = Table(
    "eval_questions",
    metadata,
    Column("question_id", String, primary_key=True),
    Column("set_id", String, ForeignKey("eval_sets.set_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("answerable", Boolean, nullable=False),
    Column("kind", String, nullable=False),
    Column("split", String, nullable=False),
    Column("gold", JSON, nullable=False),  # [{doc_id, title, start, end, sha256}]
    Column("approved", Boolean),  # None: nobody has looked at it
)

evals = Table(
    "evals",
    metadata,
    Column("eval_id", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("set_id", String, ForeignKey("eval_sets.set_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("configurations", JSON, nullable=False),
    Column("questions", JSON, nullable=False),  # the ids asked, as they were when it began
    Column("questions_sha256", String, nullable=False),
    Column("result_keys", JSON, nullable=False),  # by configuration; null until it has begun
    Column("state", String, nullable=False, index=True),
    Column("stage", String, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("reused", Integer, nullable=False),  # answers that were known from before
    Column("seq", Integer, nullable=False),  # grows with every change, so that an event stream can be resumed
    Column("error", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Column("ended_at", String),
    # Of one that asks a language model about another evaluation's answers: ``app.eval_runs.Judging``; else null.
    Column("judging", JSON(none_as_null=True)),
)

eval_votes = Table(
    "eval_votes",
    metadata,
    Column("eval_id", String, ForeignKey("evals.eval_id", ondelete="CASCADE"), primary_key=True),
    Column("question_id", String, primary_key=True),
    Column("a", Integer, primary_key=True),  # configurations, counted from 0; a < b
    Column("b", Integer, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), primary_key=True),
    Column("choice", String, nullable=False),  # "a", "b" or "tie"
    Column("created_at", String, nullable=False),
)

eval_results = Table(
    "eval_results",
    metadata,
    Column("key", String, primary_key=True),  # hash of questions, configuration and index version
    Column(
        "collection_id",
        Integer,
        ForeignKey("collections.collection_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("rows", JSON, nullable=False),  # question_id → {metrics, found, seconds, …}
    Column("facts", JSON, nullable=False),
    Column("created_at", String, nullable=False),
)
