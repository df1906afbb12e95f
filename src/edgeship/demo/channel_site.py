"""The demo page of an update channel: no bundle beside it, but where the channel lies and the root of the trust in it.

Both are written into the page itself, as an app ships its root: what the page trusts comes with the page, and all else must be
signed by what the root names. The page's service worker knows each file of the page by its digest, so that is written anew, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeship.demo import page_settings as settings
from edgeship.errors import InputError
from edgeship.storage import atomic
from edgeship.untrusted import damage_as_input_error, place_within, printable, read_json, regular_file, tree_files

FOLDER = "channel"  # of the site, and of its address
PARTS = ("metadata", "targets")
ROOT = "metadata/1.root.json"
RULES = "channel.json"
MODEL_FROM = "__EDGESHIP_MODEL_FROM__"  # in the service worker


def find_channels(channel: Path) -> list[str]:
    """The names of the channels in a folder, as `garments/stable`. Raises InputError where it is no update channel."""
    if not (channel / ROOT).is_file():
        raise InputError(
            f"{printable(channel)}: no update channel (no {ROOT}); `edgeship deploy publish BUNDLE --channel DIR` makes one"
        )
    versions = [path for path in (channel / "metadata").glob("*.targets.json") if path.name.split(".")[0].isdigit()]
    if not versions:
        return []
    newest = max(versions, key=lambda path: int(path.name.split(".")[0]))
    content = read_json(newest)
    signed = content.get("signed") if isinstance(content, dict) else None
    targets = signed.get("targets") if isinstance(signed, dict) else None
    if not isinstance(targets, dict):
        raise InputError(f"{printable(newest)}: no targets of an update channel")
    return sorted(name.removesuffix(f"/{RULES}") for name in targets if name.endswith(f"/{RULES}"))


def write_channel_site(
    channel: Path, name: str, out: Path, page_folder: Path, *, copy: bool, reports: str | None = None
) -> None:
    """Write the page of the channel `name` in the folder `channel` into the folder `out`, replacing a site that is there.

    `copy`: with the channel's files, for any static host; without them they must be served at `channel/` beside the page.
    `reports`: where those who agree send counts to. Raises InputError where the channel is none, or where `out` is another
    folder in use.
    """
    names = find_channels(channel)
    if name not in names:
        known = printable(", ".join(names)) or "none"
        raise InputError(f"{printable(channel)}: no channel {printable(name)} in it; there are: {known}")
    place = regular_file(place_within(channel, ROOT))
    with damage_as_input_error(place):
        root = place.read_text(encoding="utf-8")
    if out.resolve().is_relative_to(channel.resolve()):
        raise InputError(f"{printable(out)}: lies in the channel; choose another --out")
    if out.exists() and any(out.iterdir()) and not is_channel_site(out):
        raise InputError(f"{printable(out)}: exists and is not the page of a channel; choose another --out")
    with atomic.atomic_folder(out.absolute()) as draft:
        shutil.copytree(page_folder, draft)
        settings.embed_json(draft, "channel", {"url": f"{FOLDER}/", "name": name, "root": root})
        _mark_worker(draft)
        if reports:
            settings.embed_reports(draft, settings.ReportsPlace(reports))
        for part in PARTS if copy else ():
            _copy_part(channel / part, draft / FOLDER / part)


def _copy_part(source: Path, target: Path) -> None:
    tree_files(source)  # a link would be served for what it leads to
    try:
        shutil.copytree(source, target, symlinks=True)
    except OSError as error:
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error  # of the first of several files
        raise InputError(f"{printable(source)}: cannot be copied ({printable(reason)[:200]})") from error


def is_channel_site(folder: Path) -> bool:
    """Whether a folder is a site that `write_channel_site` wrote."""
    index = folder / "index.html"
    return (folder / "sw.js").is_file() and index.is_file() and 'id="channel">{' in index.read_text(encoding="utf-8")


def _mark_worker(site: Path) -> None:
    """Tell the service worker that the model comes from a channel."""
    worker = site / "sw.js"
    worker.write_text(worker.read_text(encoding="utf-8").replace(MODEL_FROM, FOLDER), encoding="utf-8")
