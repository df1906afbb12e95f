"""Client or server: the same model as either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles, write_result
from edgeship.errors import InputError

LOCAL = "local"

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.serving.worth.report.table import WorthText
    from edgeship.serving.worth.result import Worth


def compare_with_server(
    bundle: AnyBundle,
    *,
    network: str = "server-4g",
    limit_ms: float = 100.0,
    users: float = 10_000,
    inferences_a_day: float = 20.0,
    offline: bool = False,
    device: str | None = None,
    prices: AnyPath | None = None,
    server: str | None = None,
    api_key_file: AnyPath | None = None,
    train: AnyPath | None = None,
) -> Worth:
    """Whether a bundle's model should run on its users' devices or on a server: latency, cost, privacy, updates, accuracy.

    `network`: of most users, a built-in profile of a server or a `.toml` of one; `limit_ms`: how late p99 may be; `offline`: it
    has to work without a network; `device`: where the client's time is taken from (default: the slowest device of the bundle);
    `prices`: a file of prices; `server`: what is measured, http://HOST:PORT/MODEL of a running inference server (Open Inference
    Protocol v2) with the same artifact, or `local`: one of edgeship's on this machine, started for it (default: the artifact's
    times in the bundle); `api_key_file`: that server's key, in the first line; `train`: the training data (default: train.npz or
    calibration.npz beside the bundle). Raises InputError for what cannot be one of these.
    """
    from edgeship.serving.worth.attack import attack_bundle
    from edgeship.serving.worth.judge import check_question, find_sides, judge_worth
    from edgeship.serving.worth.prices import read_prices
    from edgeship.serving.worth.result import Question
    from edgeship.serving.worth.server_times import measure_server, split_address

    question = Question(network, limit_ms, users, inferences_a_day, offline, device or "")
    check_question(question)
    read = read_prices(None if prices is None else Path(prices))
    address = split_address(server) if server and server != LOCAL else None
    if api_key_file is not None and address is None:
        raise InputError("an API key is for a server that runs already: --server http://HOST:PORT/MODEL")
    opened = open_bundle(bundle)
    sides = find_sides(opened.manifest, question.device)
    times = None
    if server and sides.served:
        with _start_server(opened, sides.served.id) if address is None else nullcontext(address) as place:
            key_file = None if api_key_file is None else Path(api_key_file)
            times = measure_server(opened, sides.served, *place, limit_ms=limit_ms, api_key_file=key_file)
    risk = attack_bundle(opened, sides.client, None if train is None else Path(train)) if sides.client else None
    return judge_worth(opened, question, read, times, risk)


@contextmanager
def _start_server(bundle: Bundle, artifact: str) -> Iterator[tuple[str, str]]:
    """A server of this machine for one artifact, and what the model is called there."""
    from edgeship.api.serving.server import open_server

    with open_server([bundle.root], artifact=artifact, port=0, grpc_port=None) as server:
        yield server.url, server.models[0].key.partition("/")[0]


def describe_worth(worth: Worth) -> WorthText:
    """The comparison as texts: headline, reasons, tables, what would change it, what the figures rest on."""
    from edgeship.serving.worth.report.table import describe_worth as describe

    return describe(worth)


def write_worth_page(worth: Worth, out: AnyPath) -> Path:
    """Write the comparison as one HTML file that needs nothing else, and return its path."""
    from edgeship.serving.worth.report.page import render_page

    check_outside_of_bundles(Path(out))
    write_result(Path(out), render_page(worth))
    return Path(out)
