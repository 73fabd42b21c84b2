"""Which of several requests to a model in this process is worked on next. Knows requests, not how tokens come about.

In the order in which they came: their prompts are read one after the other, a piece at a time, and between two pieces every answer
that is being written gets a token. What must be written alone waits until those before it have ended, and what comes later waits
for it, so nobody is passed over.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import ModelUnavailable, OpenbookError
from lm.answering import Answering, Request

if TYPE_CHECKING:
    from lm.batch import Batch, Row, Said
    from lm.loaded import Loaded

_log = logging.getLogger(__name__)


class GivenUp(Exception):
    """Ends a forward pass that nobody waits for."""


class Turns:
    """Works for as long as ``run`` runs, in one thread.

    Args:
        load: the model; called with the first request, and again after it failed.
        most: answers at once.
    """

    def __init__(self, name: str, load: Callable[[], Loaded], most: int) -> None:
        self._name = name
        self._load = load
        self._most = most
        self._inbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._waiting: deque[Request] = deque()
        self._next: Row | None = None  # of the first that waits, once it is known to be no longer than a model can read
        self._reading: Row | None = None
        self._writing: tuple[Request, ...] = ()
        self._computing: tuple[Request, ...] = ()  # whom the present pass is for
        self._closing = threading.Event()

    @property
    def active(self) -> int:
        """Requests that are at work: whose prompt is read, or whose answer is written."""
        return len({r for r in self._writing if not r.cancelled.is_set()} | set(self._computing))

    def ask(self, request: Request) -> None:
        """Thread-safe."""
        self._inbox.put(request)

    def end(self) -> None:
        """Has ``run`` return soon; who waits is told. Thread-safe."""
        self._closing.set()
        self._inbox.put(None)

    def stop_if_given_up(self, *_: object) -> None:
        """Called within a forward pass: raises GivenUp if nobody waits for what it computes."""
        computing = self._computing
        if computing and (self._closing.is_set() or all(r.cancelled.is_set() for r in computing)):
            raise GivenUp

    def run(self) -> None:
        while self._take():
            self._turn()

    def _take(self) -> bool:
        """Brings in what has come; waits where there is nothing else to do. False: it is over."""
        idle = not (self._waiting or self._writing or self._reading)
        while True:
            try:
                request = self._inbox.get(block=idle)
            except queue.Empty:
                return True
            if request is None:
                self._tell((*self._writing, *self._waiting), self._closed())
                self._writing, self._reading = (), None
                self._waiting.clear()
                return False
            self._waiting.append(request)
            idle = False

    def _turn(self) -> None:
        while self._waiting and self._waiting[0].cancelled.is_set():
            self._waiting.popleft()
            self._next = None
        if self._waiting:
            with self._for([self._waiting[0]]) as failed:
                loaded = self._load()
            if failed:
                self._waiting.popleft()
                return
            self._admit(loaded)
        elif self._reading or self._writing:
            loaded = self._load()
        else:
            return
        if loaded.batch is None:
            return
        try:
            self._read(loaded.batch)
            self._write(loaded.batch)
        except Exception as e:  # noqa: BLE001 (caches that were half laid together serve nobody, and the thread goes on)
            self._tell(self._writing, self._failure(e, len(self._writing)))
            self._writing, self._reading = (), None
            loaded.batch.clear()

    def _admit(self, loaded: Loaded) -> None:
        """Takes the first that waits, if its turn has come."""
        request = self._waiting[0]
        batch = loaded.batch
        if batch is None or loaded.alone.wanted(request.params):
            if not self._writing and self._reading is None:
                self._waiting.popleft()
                self._write_alone(loaded, request)
            return
        if self._reading is not None or len(batch.rows) >= self._most:
            return
        row = self._next
        with self._for([request]) as failed:
            row = self._next = row or _row(loaded, request)
        if row is not None and not batch.has_room(row):
            return
        self._waiting.popleft()
        self._next = None
        if not failed:
            self._reading = row
            self._writing = (*self._writing, request)

    def _read(self, batch: Batch) -> None:
        """The next piece of the prompt that is being read."""
        row = self._reading
        if row is None:
            return
        answer: Answering = row.owner
        said: Said | None = None
        with self._for([answer.request]) as failed:
            said = batch.read(row)
        if failed or said is not None:
            self._reading = None
        if failed or (said is not None and not self._goes_on(said)):
            self._forget([answer.request])
        elif said is not None:
            batch.join(row)

    def _write(self, batch: Batch) -> None:
        """A token for each answer, and an end for those that have it."""
        self._drop(batch, [row for row in batch.rows if row.owner.request.cancelled.is_set()])
        if not batch.rows:
            return
        said: list[Said] = []
        with self._for([row.owner.request for row in batch.rows]) as failed:
            said = batch.step()
        self._drop(batch, batch.rows if failed else [one[0] for one in said if not self._goes_on(one)])

    def _goes_on(self, said: Said) -> bool:
        """Passes a token on; False if it was the last of its answer."""
        row, token, logprob = said
        answer: Answering = row.owner
        over = answer.hear(token, (logprob,), last=row.choice.complete)
        if over:
            answer.finish()
        return not over

    def _write_alone(self, loaded: Loaded, request: Request) -> None:
        import torch

        self._writing = (request,)
        with self._for([request]), torch.inference_mode():
            ids, room, answer = loaded.begin(request)
            bare = loaded.encode(request.params.without) if request.params.without else []

            def on_token(token: int, logprobs: Sequence[float]) -> bool:
                return answer.hear(token, logprobs)

            loaded.alone.generate(ids, bare, request.params, room, on_token)
            answer.finish()
        self._forget([request])

    def _drop(self, batch: Batch, rows: Sequence[Row]) -> None:
        gone = list(rows)
        batch.leave(gone)
        self._forget([row.owner.request for row in gone])

    def _forget(self, gone: Sequence[Request]) -> None:
        self._writing = tuple(r for r in self._writing if r not in gone)

    def _tell(self, requests: Sequence[Request], error: OpenbookError) -> None:
        for request in requests:
            request.channel.put(error)

    def _failure(self, e: Exception, n: int) -> ModelUnavailable:
        """What ``n`` requests are told of ``e``; the log gets the rest."""
        _log.error("%s failed", self._name, exc_info=e)
        memory = type(e).__name__ == "OutOfMemoryError"
        fix = f" with {n} at once: lower lm_batch, or use a smaller model" if memory else ""
        return ModelUnavailable(f"{self._name} failed: {type(e).__name__}: {e}{fix}")

    def _closed(self) -> ModelUnavailable:
        return ModelUnavailable(f"{self._name} was closed: ask again")

    @contextmanager
    def _for(self, requests: Sequence[Request]) -> Iterator[list[bool]]:
        """While it lasts the thread works for ``requests``, and they are told what fails; the list is not empty then."""
        failed: list[bool] = []
        self._computing = tuple(requests)
        try:
            yield failed
        except GivenUp:
            failed.append(True)
            if self._closing.is_set():
                self._tell(requests, self._closed())  # else nobody listens
        except OpenbookError as e:
            failed.append(True)
            self._tell(requests, e)
        except Exception as e:  # noqa: BLE001 (whatever torch raises ends these requests, not the thread)
            failed.append(True)
            self._tell(requests, self._failure(e, len(requests)))
        finally:
            self._computing = ()


def _row(loaded: Loaded, request: Request) -> Row:
    from lm.batch import Row
    from lm.choosing import Choice

    ids, room, answer = loaded.begin(request)
    choice = Choice(request.params, loaded.model.device, loaded.alone.vocabulary)
    return Row(ids, len(ids) + room, choice, owner=answer)
