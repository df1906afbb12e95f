"""Bundles behind the Open Inference Protocol v2."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import InputError
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.serving.rest.plan import ModelPlan
    from edgeship.serving.rest.process import Server

CHAMPION = "champion"
ALL_HOSTS = ("0.0.0.0", "::")  # noqa: S104  # named, not used


def open_server(
    bundles: Sequence[str | os.PathLike[str]] = (),
    *,
    artifact: str | None = None,
    store: str | None = None,
    name: str | None = None,
    versions: Sequence[str] = (CHAMPION,),
    host: str = "127.0.0.1",
    port: int = 8080,
    grpc_port: int | None = 8081,
    api_key_file: str | os.PathLike[str] | None = None,
    batch: int = 16,
    batch_wait_ms: float = 2.0,
    max_body_mb: float = 32,
    timeout_s: float = 30,
    cache: int = 0,
    threads: int = 1,
    jobs: str | os.PathLike[str] | None = None,
    callback_hosts: Sequence[str] = (),
    progress: bool = False,
) -> Server:
    """Start a server for bundles, and return it: `url`, `grpc_address`, `models`, `reload()`, `close()`; a context manager.

    `bundles` are paths, as NAME/VERSION=PATH where they are to be called something. With `store`, `versions` (numbers or aliases)
    of `name` in a registry are served beside them, the first by default. `artifact` is the same for all: by default each
    bundle's recommended one; `keras` is the server model. Port 0 is any that is free, `grpc_port` None leaves gRPC out.
    `jobs` is the file that asynchronous jobs are kept in, `callback_hosts` (HOST or HOST:PORT) where their end may be told.

    Raises InputError for what cannot be served and for a port in use, MissingDependencyError where the server is not
    installed (`edgeship runtimes install server`).
    """
    from edgeship.runtimes.launchers.servers.api_keys import read_api_keys
    from edgeship.serving.rest.plan import ServerSettings
    from edgeship.serving.rest.process import Server

    _check_what_is_served(bundles, store, name)
    settings = ServerSettings(
        host, port, grpc_port, read_api_keys(api_key_file) if api_key_file else (), batch, batch_wait_ms,
        int(max_body_mb * (1 << 20)), timeout_s, cache, threads,
        os.path.abspath(jobs) if jobs is not None else "", tuple(callback_hosts),
    )  # fmt: skip
    if jobs is not None:
        check_outside_of_bundles(Path(jobs))
    texts = [os.fspath(item) for item in bundles]

    class _Server(Server):
        """Keeps what was taken out of a registry as long as it runs."""

        def __init__(self, folder: tempfile.TemporaryDirectory[str]) -> None:
            self._folder = folder
            super().__init__(lambda: _plan(texts, artifact, store, name, versions, Path(folder.name)), settings)

        def close(self) -> None:
            super().close()
            self._folder.cleanup()

    with set_visibility(progress):
        return _Server(tempfile.TemporaryDirectory(prefix="edgeship-serve-"))


def _check_what_is_served(bundles: Sequence[str | os.PathLike[str]], store: str | None, name: str | None) -> None:
    if not bundles and store is None:
        raise InputError("nothing to serve: name a bundle, or --store and --name of a registry")
    if name is not None and store is None:
        raise InputError("--name is of a registry: name it by --store, as sqlite:///registry.db")


def _plan(
    texts: Sequence[str],
    artifact: str | None,
    store: str | None,
    name: str | None,
    versions: Sequence[str],
    folder: Path,
) -> list[ModelPlan]:
    from edgeship.serving.rest import registry_versions, selection

    sources = selection.read_sources(texts)
    chosen = [] if store is None else registry_versions.export_versions(store, name, versions, folder)
    taken = {item.name for item in chosen}
    if both := [item.name for item in sources if item.name in taken]:
        raise InputError(f"{both[0]} is the name of a bundle and in the registry; name the bundle as NAME=BUNDLE")
    return selection.plan_models([*sources, *reversed(chosen)], artifact)  # the last one is the default
