"""The model as DEEPaaS wraps it, with workers of ours in place of its own."""

from __future__ import annotations

import asyncio
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from deepaas.model.v2 import wrapper

from mods.models import api
from mods.serve.metrics import Metrics
from mods.serve.options import ServeOptions
from mods.serve.state import current
from mods.serve.workers import PredictionPool, TrainingPool
from mods.serve.written import WrittenAnswer, answer_written

__all__ = ["ServedModel", "served_by"]


class ServedModel(wrapper.ModelWrapper):  # type: ignore[misc]  # DEEPaaS has no types
    """DEEPaaS's wrapper, of which trainings and predictions run in processes apart.

    Parameters
    ----------
    options
        How many processes there are.
    metrics
        Where a worker's end is counted.
    name, model_obj, app
        As DEEPaaS gives them.
    """

    def __init__(
        self, options: ServeOptions, metrics: Metrics, name: str, model_obj: Any, app: Any
    ) -> None:
        self._options, self._metrics = options, metrics
        self.trainings = TrainingPool(options.trainings)
        super().__init__(name, model_obj, app)

    def _init_executor(self) -> PredictionPool:
        deaths = self._metrics.worker_deaths
        self.predictions = PredictionPool(self._options.workers, api.warm_default, deaths.inc)
        return self.predictions

    async def _close_executors(self, app: web.Application) -> None:
        self.predictions.shutdown()
        self.trainings.shutdown()

    def predict(self, **arguments: Any) -> asyncio.Task[dict[str, Any]]:
        """Start a prediction; its uploads are gone when it ends, however it ends."""
        return asyncio.get_running_loop().create_task(self._predict(arguments))

    def train(self, **arguments: Any) -> asyncio.Task[dict[str, Any]]:
        """Start a training, or let it wait for its turn."""
        task = functools.partial(self.model_obj.train, **arguments)
        return asyncio.get_running_loop().create_task(self.trainings.apply(task))

    def validate_response(self, response: Any) -> bool:
        """Let an answer out that the worker has checked and written already."""
        if isinstance(response, WrittenAnswer):
            raise response
        valid: bool = super().validate_response(response)
        return valid

    async def _predict(self, arguments: dict[str, Any]) -> dict[str, Any]:
        state = current.get()
        if state is not None:
            state.begun = True
        uploads = {n: v for n, v in arguments.items() if isinstance(v, web.FileField)}
        if not uploads:
            return await self._run(arguments)
        folder = Path(tempfile.mkdtemp(prefix="mods-request-"))
        try:
            for name, upload in uploads.items():
                arguments[name] = await asyncio.to_thread(_keep, upload, folder / "upload")
            return await self._run(arguments)
        finally:
            # Not awaited: a cancelled request must get through here, too.
            shutil.rmtree(folder, ignore_errors=True)

    async def _run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        task = functools.partial(answer_written, self.model_obj.predict, arguments)
        return await self.predictions.apply(task)


@contextmanager
def served_by(options: ServeOptions, metrics: Metrics) -> Iterator[None]:
    """Let DEEPaaS wrap the models that it loads inside as `ServedModel`."""
    theirs = wrapper.ModelWrapper
    wrapper.ModelWrapper = functools.partial(ServedModel, options, metrics)
    try:
        yield
    finally:
        wrapper.ModelWrapper = theirs


def _keep(upload: web.FileField, path: Path) -> Any:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
    return wrapper.UploadedFile(upload.name, str(path), upload.content_type, upload.filename)
