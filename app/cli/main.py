"""``openbook``: the commands put together, and what happens to an error."""

from __future__ import annotations

import os
import sys

import typer

from app.cli import (
    ask,
    bench,
    calibrate,
    check,
    collections,
    documents,
    ingest,
    jobs,
    mcp,
    people,
    prompts,
    redteam,
    reindex,
    runs,
    search,
    serve,
    trace,
    tune,
    upkeep,
    worker,
)
from app.cli import doctor as doctor_command
from app.cli.common import stderr
from app.cli.eval import eval_app
from core.errors import InvalidRequest, OpenbookError

app = typer.Typer(
    name="openbook",
    help="Question answering over your own documents that shows, and checks, its work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("ingest")(ingest.ingest)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("check")(check.check)
app.command("verify")(upkeep.verify)
app.command("repair")(upkeep.repair)
app.command("backup")(upkeep.backup)
app.command("restore")(upkeep.restore)
app.command("reindex")(reindex.reindex)
app.command("rollback")(reindex.rollback)
app.command("tune")(tune.tune)
app.command("calibrate")(calibrate.calibrate)
app.command("doctor")(doctor_command.doctor)
app.command("mcp")(mcp.mcp)
app.command("bench")(bench.bench)
app.command("redteam")(redteam.redteam)
app.add_typer(eval_app, name="eval")
app.add_typer(collections.app, name="collections")
app.add_typer(documents.app, name="documents")
app.add_typer(jobs.app, name="jobs")
app.add_typer(prompts.app, name="prompts")
app.add_typer(runs.app, name="runs")
app.add_typer(trace.app, name="trace")
app.add_typer(people.users, name="users")
app.add_typer(people.keys, name="keys")
app.add_typer(people.members, name="members")
app.command("audit")(people.audit)


def main() -> None:
    """Exit codes: 0 success, 1 failure with one clear line, 2 wrong usage."""
    try:
        app()
    except InvalidRequest as e:
        _fail(e.message, 2 if e.code in ("bad-settings", "usage") else 1)
    except OpenbookError as e:
        _fail(e.message, 1)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(line: str, code: int) -> None:
    stderr.print(f"openbook: {line}", markup=False)
    sys.exit(code)
