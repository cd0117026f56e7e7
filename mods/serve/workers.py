"""Processes that work for the service, each on one task at a time.

DEEPaaS's own pool waits for ever for a worker that was killed, and for an
exception that does not survive pickling.  Here each worker is a process and a
pipe: whatever ends the process ends the pipe, and with it the wait.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

from mods.models import tally
from mods.models.api_errors import ServiceError
from mods.serve.logs import log_as_json
from mods.serve.state import RequestState, current

__all__ = ["PredictionPool", "TrainingPool", "Worker", "end_with_parent"]

logger = logging.getLogger(__name__)

#: Spawned, since a fork of a process with threads, and with TensorFlow's, may hang.
_SPAWN = multiprocessing.get_context("spawn")
#: Seconds before a worker that could not start is started again, and what that grows to.
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0

Task = Callable[[], Any]


class NotTakenError(Exception):
    """The process had gone before it saw its task: another one can have it."""


class Worker:
    """A process that calls what it is sent, one function after the other.

    Parameters
    ----------
    niceness
        How far it steps back behind others for the processor, from 0 to 19.
    """

    def __init__(self, niceness: int = 0) -> None:
        self._broken = False
        self._pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs, niceness), name="mods-worker")
        # Sending and receiving block, so they have a thread of their own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mods-pipe")
        self._starting = self._thread.submit(self._start, theirs)

    async def call(self, task: Task) -> Any:
        """Return what a function returns over there, and raise what it raises.

        Raises
        ------
        NotTakenError
            Where the process had ended before it began.
        ServiceError
            503 where it has ended before it answered.
        """
        state = current.get()
        loop = asyncio.get_running_loop()
        try:
            done, result, forecasts = await loop.run_in_executor(
                self._thread, self._exchange, task, state.identifier if state else ""
            )
        except (EOFError, OSError):
            # Its pipe may close some moments before it is gone.
            self._broken = True
            raise ServiceError(
                503, "the process that worked on it was killed. Send it again.", "Unavailable"
            ) from None
        if state is not None:
            state.forecasts += forecasts
        if done:
            return result
        raise result

    def kill(self) -> None:
        """End the process now, whatever it does."""
        self._broken = True
        self._starting.cancel()
        if self.process.pid is not None and self.process.exitcode is None:
            self.process.kill()
            # Not to be left as a zombie, which looks like a process that runs.
            threading.Thread(target=self.process.join, daemon=True).start()
        self._thread.shutdown(wait=False)

    def join(self) -> None:
        """Wait for a killed process to be gone."""
        if self.process.pid is not None:
            self.process.join()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self._broken and self.process.pid is not None and self.process.is_alive()

    def _start(self, theirs: Connection) -> None:
        self.process.start()
        # Only the process holds its end now: when it ends, our reading ends.
        theirs.close()

    def _exchange(self, task: Task, identifier: str) -> Any:
        try:
            self._pipe.send((task, identifier))
            self._pipe.recv()
        except (EOFError, OSError):
            self._broken = True
            raise NotTakenError from None
        return self._pipe.recv()


class PredictionPool:
    """Workers that stay, each made ready by `warm` before it gets its first task.

    Parameters
    ----------
    size
        How many.
    warm
        Called first in each; returns whether all that a request may need is loaded.
    on_death
        Called when one has to be replaced.
    """

    def __init__(
        self, size: int, warm: Callable[[], bool], on_death: Callable[[], None] = lambda: None
    ) -> None:
        self.size = size
        self._warm = warm
        self._on_death = on_death
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._workers: set[Worker] = set()
        self._warmed: set[Worker] = set()
        self._tasks = {asyncio.create_task(self._add()) for _ in range(size)}
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether each worker lives and has loaded what it may need."""
        return sum(worker.alive for worker in self._warmed) == self.size

    async def apply(self, task: Task) -> dict[str, Any]:
        """Run a task in the next worker that is free; a cancelled one is killed.

        Raises
        ------
        ServiceError
            503 where the worker was killed.
        """
        while True:
            with suppress(NotTakenError):
                return await self._applied(task)

    async def _applied(self, task: Task) -> dict[str, Any]:
        worker = await self._next()
        try:
            output = await worker.call(task)
        except asyncio.CancelledError:
            # What it does cannot be stopped in any other way.
            self._replace(worker)
            raise
        finally:
            if worker in self._workers:
                if worker.alive:
                    self._idle.put_nowait(worker)
                else:
                    self._replace(worker)
        return {"output": output, "finish_date": str(datetime.now())}  # as DEEPaaS parses it

    def shutdown(self) -> None:
        """End every worker."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            if worker.process.pid is not None:
                loop.remove_reader(worker.process.sentinel)
            worker.kill()
        for worker in self._workers:
            worker.join()

    async def _next(self) -> Worker:
        while True:
            worker = await self._idle.get()
            if worker.alive:
                return worker
            # It was killed while it had nothing to do.
            self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        if worker not in self._workers:
            return
        asyncio.get_running_loop().remove_reader(worker.process.sentinel)
        worker.kill()
        self._workers.discard(worker)
        self._warmed.discard(worker)
        self._on_death()
        if not self._closed:
            task = asyncio.create_task(self._add())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        """Start a worker and make it ready, however often that fails."""
        current.set(None)
        pause = FIRST_PAUSE
        while True:
            worker = Worker()
            self._workers.add(worker)
            try:
                if await worker.call(self._warm):
                    self._warmed.add(worker)
            except (ServiceError, NotTakenError):
                logger.error("a worker could not start")
                self._workers.discard(worker)
                worker.kill()
                await asyncio.sleep(pause)
                pause = min(LAST_PAUSE, 2 * pause)
                continue
            # Replaced at once when it ends, whether or not somebody waits for it.
            loop = asyncio.get_running_loop()
            loop.add_reader(worker.process.sentinel, self._replace, worker)
            self._idle.put_nowait(worker)
            return


class TrainingPool:
    """A process of its own for each training, so that its memory goes when it ends.

    Parameters
    ----------
    size
        How many run at the same time; others wait.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.unfinished = 0
        self._free = asyncio.Semaphore(size)
        self._workers: set[Worker] = set()

    async def apply(self, task: Task) -> dict[str, Any]:
        """Run a training; a cancelled one is killed."""
        self.unfinished += 1
        try:
            async with self._free:
                # Forecasts come first where there are fewer processors than work.
                worker = Worker(niceness=10)
                self._workers.add(worker)
                try:
                    output = await worker.call(task)
                except NotTakenError:
                    raise ServiceError(
                        503, "its process was killed before it began. Send it again.", "Unavailable"
                    ) from None
                finally:
                    worker.kill()
                    self._workers.discard(worker)
        finally:
            self.unfinished -= 1
        return {"output": output, "finish_date": str(datetime.now())}

    def shutdown(self) -> None:
        """End every training."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()


def _work(pipe: Connection, niceness: int) -> None:
    """Answer calls until the service has gone."""
    # A stop is the service's to arrange, also where a terminal or an init system tells all of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.nice(niceness)
    log_as_json()
    while True:
        try:
            task, identifier = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send("taken")
        current.set(RequestState(identifier) if identifier else None)
        tally.reset()
        try:
            answer = (True, task(), tally.total())
        except Exception as error:
            answer = (False, _portable(error), 0)
        pipe.send(answer)


def _portable(error: Exception) -> Exception:
    if isinstance(error, ServiceError):
        return error
    logger.error("a failure of ours", exc_info=error)
    return ServiceError(500, f"a failure of ours: {type(error).__name__}", "InternalError")


def end_with_parent() -> None:
    """End this process when the service's is gone, also after a SIGKILL."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
