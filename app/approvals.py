"""What runs wait for: calls with outside effect that a person has to say yes or no to. In memory, for a run does not outlive the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.errors import NotFound
from core.types import Principal, Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One question to one person."""

    run_id: str
    user_id: str
    proposal: Proposal
    answer: asyncio.Future[bool]


class Approvals:
    """An ``agents.tools.outside.Person`` who answers over the API. ``seconds`` is how long they are waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pending: dict[str, Pending] = {}

    @property
    def seconds(self) -> float:
        return self._seconds

    async def decide(self, run_id: str, user_id: str, proposal: Proposal) -> tuple[bool, str]:
        """Waits for the person; silence is a no. A run that is cancelled meanwhile asks no more."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending[proposal.approval_id] = Pending(run_id=run_id, user_id=user_id, proposal=proposal, answer=answer)
        try:
            async with asyncio.timeout(self._seconds):
                yes = await answer
        except TimeoutError:
            return False, f"nobody said yes within {self._seconds:g} seconds"
        finally:
            del self._pending[proposal.approval_id]
        return yes, "" if yes else "the person said no"

    def of(self, principal: Principal, run_id: str | None = None) -> list[Pending]:
        """What this person is asked, oldest first."""
        mine = [p for p in self._pending.values() if p.user_id == principal.user_id and not p.answer.done()]
        return [p for p in mine if run_id in (None, p.run_id)]

    def say(self, principal: Principal, run_id: str, approval_id: str | None, yes: bool) -> Pending:
        """A person's word.

        Args:
            approval_id: None answers the run's oldest question.

        Raises:
            NotFound: this person is not asked that, or not any more.
        """
        for pending in self.of(principal, run_id):
            if approval_id in (None, pending.proposal.approval_id):
                pending.answer.set_result(yes)
                return pending
        raise NotFound(
            f"run {run_id!r} does not wait for that: it was answered, its time is over, or it is not yours",
            code="unknown-approval",
        )
