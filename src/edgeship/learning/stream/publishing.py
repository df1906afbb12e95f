"""An accepted snapshot into a channel: devices load the difference to the version that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeship.bundle.bundle import Bundle
from edgeship.errors import MissingDependencyError
from edgeship.learning.stream.request import StreamRequest

if TYPE_CHECKING:
    from edgeship.deploy.channel.signers import Signers

EXTRA = "pip install 'edgeship[deploy]'"


def check_keys(request: StreamRequest) -> None:
    """Raise InputError where the keys of the channel are not there, MissingDependencyError without what signs."""
    if request.channel is not None:
        _open_signers(request)


def publish_snapshot(bundle: Bundle, request: StreamRequest) -> int | None:
    """The number of the bundle in the channel; None without a channel. One that is published already keeps its number."""
    if request.channel is None:
        return None
    from edgeship.deploy.channel.publish import Publication, publish_bundle

    signers = _open_signers(request)
    return publish_bundle(bundle, request.channel, signers, Publication(request.channel_name)).after.version


def _open_signers(request: StreamRequest) -> Signers:
    try:
        from edgeship.deploy.channel.signers import Signers
    except ImportError as error:
        raise MissingDependencyError(f"--channel needs TUF ({error}): {EXTRA}") from error
    return Signers(request.keys)
