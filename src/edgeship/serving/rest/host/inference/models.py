"""The versions that are served: found by name and version, and replaced while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edgeship.serving.rest.host.failures import Unknown
from edgeship.serving.rest.host.inference.answer_cache import AnswerCache
from edgeship.serving.rest.host.inference.model import ServedModel
from edgeship.serving.rest.host.metrics import LOADED
from edgeship.serving.rest.plan import ModelPlan, ServerSettings
from edgeship.untrusted import damage_as_input_error

POLL_SECONDS = 0.05


class Models:
    """What KServe calls a model registry. A model is found by its name (the default version), or as NAME/VERSION."""

    def __init__(self, settings: ServerSettings, arriving: Callable[[], int]) -> None:
        self._settings, self._arriving = settings, arriving
        self._cache = AnswerCache(settings.cache) if settings.cache else None
        self._versions: dict[str, ServedModel] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def load(self, plans: Sequence[ModelPlan]) -> list[ServedModel]:
        """Serve exactly these versions, all or, where one cannot be loaded, none of them: then those before stay.

        Unchanged ones stay loaded; those that go answer what they were asked. Raises what loading raises.
        """
        fresh: dict[str, ServedModel] = {}
        loop = asyncio.get_running_loop()
        try:
            for plan in plans:
                old = self._versions.get(plan.key)
                same = old is not None and old.plan == plan
                model = old if same else await loop.run_in_executor(None, self._open, plan)
                assert model is not None  # noqa: S101  # for the type checker: `same` says so
                fresh[plan.key] = model
        except BaseException:
            for model in fresh.values():
                if model not in self._versions.values():
                    model.close()
            raise
        gone = [model for model in self._versions.values() if model not in fresh.values()]
        for model in fresh.values():
            if model not in self._versions.values():
                model.start_answering(self._settings.batch_wait_ms / 1000, self._arriving)
        found = dict(fresh)
        found |= {model.plan.name: model for model in fresh.values() if model.plan.default}
        self._versions = found
        LOADED.set(len(fresh))
        for model in dict.fromkeys(gone):
            task = asyncio.ensure_future(self._retire(model))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return list(fresh.values())

    def _open(self, plan: ModelPlan) -> ServedModel:
        with damage_as_input_error(plan.path):  # what a runtime says of a file that it cannot load is none of ours
            return ServedModel(plan, self._settings, self._cache)

    @staticmethod
    async def _retire(model: ServedModel) -> None:
        while model.in_flight:
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, model.close)

    def find(self, name: str, version: str | None = None) -> ServedModel:
        """A model by name, and version perhaps. Raises Unknown, with what there is."""
        model = self._versions.get(f"{name}/{version}" if version else name)
        if model is None or (not version and model.plan.name != name):
            known = ", ".join(sorted({model.plan.key for model in self._versions.values()}))
            asked = f"{name[:100]} of version {version[:100]}" if version else name[:100]
            raise Unknown(f"no model {asked}; there are: {known}")
        return model

    def versions(self, name: str) -> list[str]:
        """The versions of a model."""
        return sorted({model.plan.version for model in self._versions.values() if model.plan.name == name})

    def names(self) -> list[str]:
        """All models."""
        return sorted({model.plan.name for model in self._versions.values()})

    # What KServe's data plane asks of a registry:

    def get_model(self, name: str) -> ServedModel | None:
        """By name, or as NAME/VERSION."""
        return self._versions.get(name)

    def get_models(self) -> dict[str, ServedModel]:
        """All, by name."""
        return dict(self._versions)

    async def is_model_ready(self, name: str) -> bool:
        """Whether it answers."""
        return name in self._versions
