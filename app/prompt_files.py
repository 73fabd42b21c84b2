"""A person's own prompts: files under ``prompts/`` in the data directory, for everything or for one collection.

    prompts/rag_user.j2                in place of the shipped one
    prompts/filings/rag_user.j2        in place of both, where collection "filings" alone is asked

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


def own_prompts(data_dir: Path) -> list[Path]:
    """The files that stand in for shipped prompts, for everything and for one collection each, sorted; none is read."""
    folder, known = data_dir / PROMPTS_FOLDER, set(prompt_names())
    found = [p for pattern in ("*", "*/*") for p in folder.glob(pattern) if p.name in known and p.is_file()]
    return sorted(p for p in found if p.parent == folder or COLLECTION_NAME.fullmatch(p.parent.name))


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
