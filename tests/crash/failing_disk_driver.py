"""Does one thing after the other to a library, as told on the standard input; see ``test_failing_disk``."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from core.errors import OpenbookError  # noqa: E402
from tests.crash.crash_driver import NEW_TEXT  # noqa: E402
from tests.crash.test_store_crash import state  # noqa: E402
from tests.support.library import Library, open_library  # noqa: E402


def operate(lib: Library, operation: str) -> None:
    match operation:
        case "put" | "replace":
            with lib.store.originals.receiving([NEW_TEXT.encode()], 10_000):
                lib.put("a", "new" if operation == "put" else "f1", NEW_TEXT)
        case "delete":
            lib.delete("a", "f1")
        case "drop":
            lib.drop("a")


def answer(lib: Library, word: str) -> str:
    match word:
        case "search":
            found = [lib.search("words of file number2", 5, retriever=name) for name in ("dense", "hybrid")]
            return "found" if all(found) else "nothing"
        case "settle":
            lib.engine.catch_up()
            return "settled" if lib.engine.settle(60) else "restless"
        case "state":
            return json.dumps(state(lib), sort_keys=True)
        case "close":
            lib.close()
            return "closed"
    operate(lib, word)
    return "yes"


def main() -> None:
    lib: Library | None = None
    for line in sys.stdin:
        word, *rest = line.split()
        try:
            if word == "open":
                lib = open_library(Path(rest[0]))
                lib.engine.settle(60)
                said = "opened"
            elif lib is not None:
                said = answer(lib, word)
            else:
                said = "nothing is open"
        except OpenbookError as e:
            said = e.code
        except Exception as e:  # noqa: BLE001 (told to whoever waits)
            traceback.print_exc()
            said = repr(e)
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
