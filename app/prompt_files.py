"""A person's own prompts: files under ``prompts/`` in the data directory, for everything or for one collection.

    prompts/rag_user.j2                in place of the shipped one
    prompts/filings/rag_user.j2        in place of both, where collection "filings" alone is asked
    prompts/_short/rag_user.j2         in place of the shipped one, in evaluations that name the set "short"

They are read at the start of each run, so that an edit holds from the next question on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.prompts import Prompts, prompt_names
from app.upkeep.archive import PROMPTS_FOLDER
from core.errors import InvalidRequest
from core.ids import COLLECTION_NAME

MAX_BYTES = 64 * 1024
SHIPPED = "shipped"  # the set of prompts without anybody's own
_SET = "_"  # how a set's folder begins, as no collection's name can


def prompts_of(data_dir: Path, collections: Sequence[str] = ()) -> Prompts:
    """The prompts of a run over ``collections``, checked.

    Raises:
        InvalidRequest: a file there is no prompt or cannot be one, code "bad-prompt"; its path and the fix are named.
    """
    folder = data_dir / PROMPTS_FOLDER
    overrides = _read(folder)
    if len(collections) == 1:
        overrides |= _read(folder / collections[0])
    prompts = Prompts(overrides)
    prompts.check()
    return prompts


def prompt_sets(data_dir: Path) -> list[str]:
    """The names that ``prompts_named`` takes: "shipped" and the sets there are, sorted; none is read."""
    folders = (data_dir / PROMPTS_FOLDER).glob(f"{_SET}*")
    return [SHIPPED, *sorted(f.name[1:] for f in folders if f.is_dir() and _is_set(f.name))]


def prompts_named(data_dir: Path, name: str) -> Prompts:
    """The prompts of a set, checked: its files, and the shipped ones for all that it has none of.

    Raises:
        InvalidRequest: no such set, code "unknown-prompts"; or as ``prompts_of``.
    """
    known = prompt_sets(data_dir)
    if name not in known:
        raise InvalidRequest(
            f"no set of prompts {name!r}: there are {', '.join(known)}; a folder {PROMPTS_FOLDER}/{_SET}NAME in the data directory "
            "is one",
            code="unknown-prompts",
        )
    prompts = Prompts({} if name == SHIPPED else _read(data_dir / PROMPTS_FOLDER / f"{_SET}{name}"))
    prompts.check()
    return prompts


def _is_set(folder: str) -> bool:
    return folder.startswith(_SET) and folder != f"{_SET}{SHIPPED}" and bool(COLLECTION_NAME.fullmatch(folder[1:]))


def own_prompts(data_dir: Path) -> list[Path]:
    """The files that stand in for shipped prompts, for everything, for one collection and in one set each, sorted; none is
    read."""
    folder, known = data_dir / PROMPTS_FOLDER, set(prompt_names())
    found = [p for pattern in ("*", "*/*") for p in folder.glob(pattern) if p.name in known and p.is_file()]
    return sorted(
        p for p in found if p.parent == folder or COLLECTION_NAME.fullmatch(p.parent.name) or _is_set(p.parent.name)
    )


def _read(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    known = prompt_names()
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.name not in known:
            raise InvalidRequest(
                f"{path} is no prompt: there are {', '.join(known)} (`openbook prompts show NAME` prints one)",
                code="bad-prompt",
            )
        try:
            if path.stat().st_size > MAX_BYTES:
                raise InvalidRequest(f"{path} has more than {MAX_BYTES:,} bytes", code="bad-prompt")
            found[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise InvalidRequest(f"cannot read {path}: {e}", code="bad-prompt") from e
    return found
