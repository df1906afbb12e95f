"""The client of a channel, tried from here, and a simulated fleet of clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from edgeship.client import UpdateResult


@dataclass(frozen=True)
class FetchedModel:
    """What a client did, and the file of the version that runs; None where none does."""

    update: UpdateResult
    model: Path | None


def fetch_model(
    url: str, *, name: str, artifact: str, state: AnyPath, root: AnyPath, device_id: str | None = None
) -> FetchedModel:
    """Bring `state`, a folder of the client's own, to the version that the channel at `url` has for this device.

    `name`: `<name>/<channel>`; `root`: the channel's first `root.json`; `device_id`: what the device's bucket is computed of
    (default: a random one, kept in `state`). What goes wrong on the way is told in the result. Raises InputError for what cannot
    be one of these, or a state of something else, and MissingDependencyError without `tuf`.
    """
    from edgeship.client import Client, ClientError

    try:
        client = Client(url, name=name, artifact=artifact, state=Path(state), root=Path(root), device_id=device_id)
        update = client.update()
        return FetchedModel(update, client.model if client.version else None)
    except ClientError as error:
        raise InputError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name not in ("tuf", "urllib3", "securesystemslib"):
            raise
        raise MissingDependencyError("channels need tuf: pip install 'edgeship[deploy]'") from error
