"""What a check of stored data found wrong. It knows no kind of data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: a stable slug, for example "original-missing".
        subject: what it is about: an id, a checksum, a file.
        message: what was found, in one line.
        fix: what `openbook repair` does about it, or, if ``repairable`` is false, what a person can do.
    """

    code: str
    subject: str
    message: str
    fix: str
    repairable: bool = True

    @property
    def line(self) -> str:
        return f"{self.code}  {self.message}: {self.fix}"
