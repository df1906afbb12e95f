"""The web page that runs a bundle's TF.js model in the browser."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, open_bundle
from edgeship.api.files import check_outside_of_bundles
from edgeship.notices import print_notice, set_visibility

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.demo.web_server import Server


def _default_samples(bundle: Bundle) -> str | None:
    """The evaluation data that a bundle names, where it is still there and by its digest what the bundle was made with."""
    from edgeship.pipeline.data_checks import is_recorded
    from edgeship.pipeline.run_settings.of_bundle import located_config
    from edgeship.settings.config import Config
    from edgeship.settings.permissions import check_place
    from edgeship.untrusted import printable

    source = Config.restore(located_config(bundle)).data.evaluation
    if not source or not os.path.exists(source):
        return None
    check_place(source, "the bundle's evaluation data")
    if is_recorded(bundle.manifest, "evaluation", source):
        print_notice(f"samples: {printable(source)}, as the bundle says; --data chooses others")
        return source
    why = "is not what the bundle was made with, by its digest; --data takes samples from it"
    print_notice(f"no samples: {printable(source)} {why}")
    return None


def _origin_of(reports: str | None) -> str:
    from edgeship.demo.page_settings import find_origin

    return find_origin(reports) if reports else ""


def write_demo(
    bundle: AnyBundle,
    out: str | os.PathLike[str],
    *,
    data: str | None = None,
    reports: str | None = None,
    progress: bool = False,
) -> Path:
    """Write the page into the folder `out`, for any static host, and return that folder.

    `data` has samples to choose from (default: the bundle's evaluation data, where it still is what the bundle was made with).
    `reports`: the address that the page sends counts to, once a week, where its user agrees (docs/monitoring/report.md).
    Raises InputError for a bundle without a TF.js model and for a place in a bundle, MissingDependencyError where the page is
    not built and cannot be.
    """
    from edgeship.demo import site

    source = open_bundle(bundle)
    check_outside_of_bundles(Path(out))
    with set_visibility(progress):
        samples = _default_samples(source) if data is None else data
    site.write_site(source, Path(out), site.built_page(), samples, reports)
    return Path(out)


def write_channel_demo(
    channel: str | os.PathLike[str], out: str | os.PathLike[str], *, name: str, reports: str | None = None
) -> Path:
    """Write the page of an update channel with the channel's files into the folder `out`, and return that folder.

    `name` is the channel's, as `garments/stable`; `reports` as in `write_demo`. Raises InputError where there is no such channel.
    """
    from edgeship.demo import channel_site, site

    check_outside_of_bundles(Path(out))
    channel_site.write_channel_site(Path(channel), name, Path(out), site.built_page(), copy=True, reports=reports)
    return Path(out)


@contextlib.contextmanager
def serve_channel_demo(
    channel: str | os.PathLike[str], *, name: str, host: str = "127.0.0.1", port: int = 0, reports: str | None = None
) -> Iterator[Server]:
    """A server of the page of an update channel, which it serves as it is at each request; `url` says where."""
    from edgeship.demo import channel_site, site
    from edgeship.demo.web_server import Server

    with tempfile.TemporaryDirectory(prefix="edgeship-demo-") as folder:
        page = Path(folder) / "site"
        channel_site.write_channel_site(Path(channel), name, page, site.built_page(), copy=False, reports=reports)
        mounts = {f"{channel_site.FOLDER}/{part}": Path(channel) / part for part in channel_site.PARTS}
        server = Server(page, host, port, mounts, _origin_of(reports))
        try:
            yield server
        finally:
            server.server_close()


@contextlib.contextmanager
def serve_demo(
    bundle: AnyBundle,
    *,
    data: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    reports: str | None = None,
    progress: bool = False,
) -> Iterator[Server]:
    """A server of the page; `url` says where, `serve_forever()` serves it. Port 0 is any that is free."""
    from edgeship.demo.web_server import Server

    with tempfile.TemporaryDirectory(prefix="edgeship-demo-") as folder:
        page = write_demo(bundle, Path(folder) / "site", data=data, reports=reports, progress=progress)
        server = Server(page, host, port, reports=_origin_of(reports))
        try:
            yield server
        finally:
            server.server_close()
