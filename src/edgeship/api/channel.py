"""Update channels: a folder for any web server, through which devices get the versions of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles
from edgeship.errors import CheckError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from edgeship.client.rules import Channel, Conditions, Experiment
    from edgeship.deploy.channel.rollout import ChannelChange
    from edgeship.deploy.channel.signers import Signers
    from edgeship.deploy.channel.upkeep import FolderStatus

Keys = AnyPath | Sequence[AnyPath]


def publish_bundle(
    bundle: AnyBundle,
    channel: AnyPath,
    *,
    name: str,
    keys: Keys,
    version: int | None = None,
    percent: float = 100.0,
    keep: int = 5,
    threshold: int = 1,
    signed_by: Sequence[AnyPath] = (),
    force: bool = False,
    learning: bool = True,
) -> ChannelChange:
    """Publish a bundle as the next version of `name`, as `garments/stable`, in a channel's folder, which may be new.

    `percent` of the devices get it, the others what all had before. `keep`: versions that stay beside those in use. `threshold`:
    keys that must sign root and targets of a new channel. `signed_by`: public keys all of which must have signed the bundle.
    `learning`: whether what devices learn with goes along, where the bundle has it.
    Raises CheckError where the bundle's figures do not pass its gate, unless `force`; InputError for a damaged bundle, one that
    is not signed so, a name that is none, keys that are missing: then nothing is changed.
    """
    from edgeship.benchmarks.gate.gate import judge_again
    from edgeship.types import Verdict
    from edgeship.untrusted import damage_as_input_error, printable

    source, folder = open_bundle(bundle), Path(channel)
    check_outside_of_bundles(folder / "metadata")
    if signed_by:
        _check_signature(source.root, [Path(file) for file in signed_by])
    with damage_as_input_error(source.root):  # its figures may be none
        judged = replace(source, manifest=judge_again(source.manifest))
    if judged.verdict is not Verdict.PASS and not force:
        word = judged.verdict.value if judged.verdict else "not judged"
        raise CheckError(
            f"{printable(source.root)}: {word}; only what passes is published (--force publishes it nevertheless)"
        )
    with _needing_tuf():
        from edgeship.deploy.channel.publish import Publication
        from edgeship.deploy.channel.publish import publish_bundle as publish

        plan = Publication(name, version, percent, keep, threshold, unjudged=force, learning=learning)
        return publish(judged, folder, _signers(keys), plan)


def refresh_channel(channel: AnyPath, *, keys: Keys) -> FolderStatus:
    """Sign a channel's timestamp anew; the other roles, too, in the second half of their lives, where their keys are here.

    For a cron job, with the keys of timestamp and snapshot. Raises InputError where the timestamp's key is missing.
    """
    with _needing_tuf():
        from edgeship.deploy.channel.upkeep import refresh_metadata

        return refresh_metadata(Path(channel), _signers(keys))


def change_rollout(
    channel: AnyPath,
    name: str,
    *,
    keys: Keys,
    percent: float | None = None,
    conditions: Conditions | None = None,
    experiment: Experiment | None = None,
    end_experiment: bool = False,
    dry_run: bool = False,
) -> ChannelChange:
    """Change who gets a channel's version: its percentage, its conditions, an experiment. What is None stays.

    Raises InputError for an unknown channel or version (the known ones are listed), for a percentage while it is paused, for
    rules that cannot be, and for missing keys.
    """
    with _needing_tuf():
        from edgeship.deploy.channel import rollout

        def change(before: Channel) -> Channel:
            return rollout.change_rollout(
                before, percent=percent, conditions=conditions, experiment=experiment, end_experiment=end_experiment
            )

        return rollout.change_rules(Path(channel), _signers(keys), name, change, dry_run=dry_run)


def pause_rollout(
    channel: AnyPath, name: str, *, keys: Keys, paused: bool = True, dry_run: bool = False
) -> ChannelChange:
    """Let no further device take a channel's version (who has it keeps it), or go on with `paused=False`.

    Raises InputError for an unknown channel, and for missing keys.
    """
    with _needing_tuf():
        from edgeship.deploy.channel import rollout

        def change(before: Channel) -> Channel:
            return rollout.pause(before, paused=paused)

        return rollout.change_rules(Path(channel), _signers(keys), name, change, dry_run=dry_run)


def roll_back_channel(
    channel: AnyPath, name: str, *, keys: Keys, to: int | None = None, dry_run: bool = False
) -> ChannelChange:
    """Send all devices of a channel to its previous version, or to version `to`; the present one is withdrawn.

    Raises InputError for an unknown channel or version, where there is none to go back to, and for missing keys.
    """
    with _needing_tuf():
        from edgeship.deploy.channel import rollout

        def change(before: Channel) -> Channel:
            return rollout.roll_back(before, to)

        return rollout.change_rules(Path(channel), _signers(keys), name, change, dry_run=dry_run)


def rotate_keys(
    channel: AnyPath, role: str, *, keys: Keys, new_keys: Keys, threshold: int | None = None
) -> FolderStatus:
    """Give a role (`root`, `targets`, `snapshot`, `timestamp`) new keys in place of its own, of which `threshold` must sign.

    Raises InputError where the root's keys, or those that sign what the role's metadata is named in, are missing.
    """
    with _needing_tuf():
        from edgeship.deploy.channel import upkeep

        return upkeep.rotate_keys(Path(channel), role, _signers(keys), _signers(new_keys), threshold)


def read_channel(channel: AnyPath) -> FolderStatus:
    """What a channel's folder holds: roles with their ends, channels with their rules and versions, and what to see to.

    Raises InputError for a folder that is none, or whose metadata is damaged or signed by others.
    """
    with _needing_tuf():
        from edgeship.deploy.channel.upkeep import read_status

        return read_status(Path(channel))


def describe_conditions(
    *,
    minimum_client: int = 1,
    minimum_runtime: Mapping[str, str] | None = None,
    platforms: Sequence[str] | None = None,
    minimum_memory_mb: int | None = None,
) -> Conditions:
    """What a device must have for a channel's version: see docs/deploy/channel.md."""
    from edgeship.client.rules import Conditions

    asked = None if platforms is None else tuple(platforms)
    return Conditions(minimum_client, minimum_runtime or {}, asked, minimum_memory_mb)


def describe_experiment(channel: str, name: str, percent: float, arms: Mapping[str, tuple[int, int]]) -> Experiment:
    """An experiment of a channel, as `garments/stable`: by arm its version and share, for the first `percent` of the devices."""
    from edgeship.client.rules import Arm, Experiment

    parts = tuple(Arm(arm, version, share) for arm, (version, share) in arms.items())
    return Experiment(name, f"{channel.partition('/')[0]}/{name}", percent, parts)


def _check_signature(root: Path, files: Sequence[Path]) -> None:
    from edgeship.deploy.signing.keys import load_public_key
    from edgeship.deploy.signing.signature import check_signature

    keys = [load_public_key(file) for file in files]
    try:
        check_signature(root, keys, len({key.keyid for key in keys}))
    except CheckError as error:
        raise InputError(f"{error}; nothing was published") from error


def _signers(keys: Keys) -> Signers:
    from edgeship.deploy.channel.signers import Signers

    places = [keys] if isinstance(keys, (str, Path)) or not isinstance(keys, Sequence) else keys
    if not places:
        raise InputError("no keys were named")
    return Signers([Path(place) for place in places])


@contextmanager
def _needing_tuf() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("tuf", "securesystemslib", "bsdiff4"):
            raise
        raise MissingDependencyError("a channel needs tuf: pip install 'edgeship[deploy]'") from error
