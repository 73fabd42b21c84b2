"""Every error that Openbook raises on purpose.

    OpenbookError                     message: what was found, what would be valid, the fix
    ├── InvalidRequest                bad input: unknown option, empty question, bad name
    ├── NotFound                      no such collection, document, job, run … (or none that you may see)
    ├── NotSignedIn                   nobody that is known asks
    ├── Forbidden                     you may see it, but not do that to it
    ├── Conflict                      exists already, or is in a state that forbids this
    │   └── Changed                   … or is not any more as whoever would change it has seen it
    ├── TooLarge                      over a stated limit
    ├── Busy                          a bounded queue is full; try again after ``retry_after_s``
    ├── NotReady                      still loading, or the server is not running
    ├── ParseFailed                   a file could not be understood
    │   ├── UnsupportedType           … nor will it be: not a kind that is read
    │   ├── Encrypted                 … without its password
    │   └── EmptyDocument             … because there is no text in it
    ├── FetchFailed                   a page of the web could not be had, or may not be
    ├── StorageFailed                 disk full, I/O error, damaged database
    │   ├── DataDirLocked             another process writes to this data directory
    │   └── IndexDamaged              an index file does not match its manifest
    ├── ModelUnavailable              weights missing or corrupt, or a model server that does not answer
    ├── RetryModel                    fate 1: the model made a mistake that it can mend; ask it again
    ├── ToolFailed                    fate 2: tell the model and go on
    └── RunAborted                    fate 3: stop the run
        ├── LimitReached              steps, tokens or seconds are used up
        └── RunCancelled              a person stopped it

``code`` is a stable slug for machines (problem+json "type", job "reason"); the message is for people.
"""

from __future__ import annotations


class OpenbookError(Exception):
    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidRequest(OpenbookError):
    code = "invalid-request"


class NotFound(OpenbookError):
    code = "not-found"


class NotSignedIn(OpenbookError):
    code = "not-signed-in"


class Forbidden(OpenbookError):
    code = "forbidden"


class Conflict(OpenbookError):
    code = "conflict"


class Changed(Conflict):
    code = "changed"


class TooLarge(OpenbookError):
    code = "too-large"


class Busy(OpenbookError):
    code = "busy"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(OpenbookError):
    code = "not-ready"


class ParseFailed(OpenbookError):
    code = "parse-failed"


class UnsupportedType(ParseFailed):
    code = "unsupported-type"


class Encrypted(ParseFailed):
    code = "encrypted"


class EmptyDocument(ParseFailed):
    code = "empty-document"


class FetchFailed(OpenbookError):
    code = "fetch-failed"


class StorageFailed(OpenbookError):
    code = "storage-failed"


class DataDirLocked(StorageFailed):
    code = "data-dir-locked"


class IndexDamaged(StorageFailed):
    code = "index-damaged"


class ModelUnavailable(OpenbookError):
    code = "model-unavailable"


class RetryModel(OpenbookError):
    code = "retry-model"


class ToolFailed(OpenbookError):
    code = "tool-failed"


class RunAborted(OpenbookError):
    code = "run-aborted"


class LimitReached(RunAborted):
    code = "limit-reached"


class RunCancelled(RunAborted):
    code = "cancelled"


def error_of(code: str, message: str, kind: str = "") -> OpenbookError:
    """An error as it was recorded: of the class that has ``kind`` (or else ``code``) as its own code, with ``code``."""
    own = LimitReached.code if code.startswith("limit-") else kind or code
    kinds = [k for k in globals().values() if isinstance(k, type) and issubclass(k, OpenbookError) and k.code == own]
    error = (kinds[0] if kinds else OpenbookError)(message)
    error.code = code
    return error
