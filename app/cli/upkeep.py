"""``openbook verify``, ``repair``, ``backup`` and ``restore``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import (
    READY_TIMEOUT_S,
    AsJson,
    DataDir,
    connected,
    fail,
    print_json,
    progress_bar,
    say,
    settings_of,
)
from app.cli.ingest import job_entry, wait_for_jobs
from app.client import Client
from app.datadir import find_server
from app.replies import Job
from app.waiting import wait_until_ready
from core.errors import Conflict, InvalidRequest
from core.protocols import Encoder
from core.settings import Settings
from core.wording import plural


def verify(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Read everything that is stored and say what is wrong with it: one line each, and exit code 1 if there is any.

    Example: openbook verify
    """
    settings = settings_of(data_dir)
    found = _verified(settings)
    if as_json:
        print_json(found)
    else:
        for finding in found["findings"]:
            print(f"{finding['code']}  {finding['message']}: {finding['fix']}")
        # The names are plurals: "originals", "other generations", "indexes".
        counts = ", ".join(
            plural(n, _ONE.get(name, name.removesuffix("s")), name) for name, n in found["checked"].items()
        )
        print(f"read {counts or 'nothing'}: {_wrong_text(found['findings'])}")
    if not found["ok"]:
        mendable = sum(f["repairable"] for f in found["findings"])
        raise fail(f"{_wrong_text(found['findings'])}; `openbook repair` mends {mendable} of them")


_ONE = {"indexes": "index"}


def _wrong_text(findings: list[dict[str, Any]]) -> str:
    n = len(findings)
    return f"{plural(n, 'thing')} {'is' if n == 1 else 'are'} wrong" if n else "all is well"


def _verified(settings: Settings) -> dict[str, Any]:
    running = find_server(settings.data_dir)
    if running is not None:
        with Client(running.url, token=running.token) as client:
            wait_until_ready(client, READY_TIMEOUT_S)
            return client.verify()
    from app.upkeep.opened import locked, opened
    from app.upkeep.verify import verify as verify_all

    with locked(settings.data_dir, "verify"), opened(settings, as_it_is=True) as here, progress_bar("reading") as move:
        return verify_all(here.store, here.data_dir, stopped=True, report=move).json()


def repair(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Mend what `openbook verify` finds, and say what cannot be mended. Stop the server first.

    Example: openbook repair
    """
    from app.upkeep.opened import locked, opened
    from app.upkeep.repair import repair as repair_all
    from app.wiring import build_encoder

    settings = settings_of(data_dir)

    def encoder() -> Encoder:
        built = build_encoder(settings)
        built.load()
        return built

    with locked(settings.data_dir, "repair"), opened(settings) as here, progress_bar("reading") as move:
        done = repair_all(here, encoder, move)
    report = done.json()
    ended: list[Job] = []
    if done.jobs:
        with connected(data_dir, worker=True) as client:
            ended = wait_for_jobs(client, done.jobs)
    unread = [job for job in ended if job["state"] not in ("ready", "partial")]
    report |= {"ok": not done.left and not unread, "jobs": [job_entry(job) for job in ended]}
    if as_json:
        print_json(report)
    else:
        for finding in done.mended:
            print(f"mended  {finding.line}")
        for job in ended:
            print(f"read again  {job['file']}: {job['state']} {job['reason'] or ''}".rstrip())
        for finding in done.left:
            print(f"left    {finding.line}")
        if not done.mended and not done.left:
            print("nothing to mend")
    if not report["ok"]:
        raise fail(f"not mended: {len(done.left) + len(unread):,}; see above what to do about each")


BackupFile = Annotated[Path, typer.Argument(help="The backup: a tar; with .gz or .tgz at the end it is packed.")]


def backup(
    file: BackupFile,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there already.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Write everything that cannot be made again into one file, also while a server runs and people write.

    Example: openbook backup /backups/openbook-monday.tar.gz
    """
    from app.upkeep.archive import read_archive, write_archive
    from core.ids import new_id
    from retrieval.files import move_into_place, storage_errors

    settings = settings_of(data_dir)
    if file.exists() and not overwrite:
        raise Conflict(f"{file} is there already: choose another name, or give --overwrite")
    if not file.absolute().parent.is_dir():
        raise InvalidRequest(f"there is no folder {file.absolute().parent}: make it first")
    temp = file.with_name(f".{file.name}.{new_id('')}.tmp")
    try:
        with _backup_pieces(settings) as pieces:
            write_archive(pieces, temp, compress=file.suffix in (".gz", ".tgz"))
        # Read back before it gets its name: a backup that cannot be restored is none.
        manifest = read_archive(temp, None)
        with storage_errors(f"write {file}"):
            move_into_place(temp, file)
    finally:
        if temp.exists():  # in a folder that cannot be written to even to remove nothing is refused
            temp.unlink()
    if manifest.missing:
        say(f"not in it, since they are lost or damaged: {len(manifest.missing)} originals; see `openbook verify`")
    size = file.stat().st_size
    report: dict[str, Any] = {
        "file": str(file),
        "bytes": size,
        "change": manifest.change,
        "originals": len(manifest.files) - 1,
        "missing": list(manifest.missing),
    }
    if as_json:
        print_json(report)
    else:
        print(
            f"{file}: {size:,} bytes, {report['originals']:,} originals, change {manifest.change}, read back and sound"
        )


@contextmanager
def _backup_pieces(settings: Settings) -> Iterator[Iterator[bytes]]:
    running = find_server(settings.data_dir)
    if running is not None:
        with Client(running.url, token=running.token) as client, client.backup() as pieces:
            yield pieces
        return
    from app.upkeep.backup import Backup
    from app.upkeep.opened import locked, opened

    with (
        locked(settings.data_dir, "take the backup"),
        opened(settings) as here,
        closing(Backup(here.store, here.data_dir)) as made,
    ):
        yield made


def restore(
    file: BackupFile,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put aside what is in the data directory, which is kept.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a data directory what a backup says. Everything is checked before anything is switched.

    Example: openbook restore /backups/openbook-monday.tar.gz --data-dir data
    """
    from app.upkeep.opened import locked
    from app.upkeep.restore import restore as restore_file

    settings = settings_of(data_dir)
    where = settings.data_dir
    with locked(where, "restore", may_be_new=True):
        manifest, aside = restore_file(file, where, replace=replace)
    if manifest.missing:
        say(f"{len(manifest.missing)} originals were lost when the backup was made: `openbook verify` names them")
    report: dict[str, Any] = {
        "data_dir": str(where),
        "made_at": manifest.made_at,
        "change": manifest.change,
        "originals": len(manifest.files) - 1,
        "aside": str(aside) if aside is not None else None,
    }
    if as_json:
        print_json(report)
        return
    print(
        f"{where} is as it was at {manifest.made_at} (change {manifest.change}); its indexes are built at the next start"
    )
    if aside is not None:
        print(f"what was there is kept: openbook serve --data-dir {aside}; delete that folder when you need it no more")
