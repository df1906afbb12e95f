"""Retraining: from a champion and labels of the field to a challenger that was judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyPath
from edgeship.api.files import check_outside_of_bundles, optional_path
from edgeship.errors import unknown_name_error
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.learning.retraining.results import RetrainResult
    from edgeship.monitoring.drift.tables import Section

STORE = "sqlite:///registry.db"


def retrain_champion(
    name: str | None = None,
    *,
    store: str = STORE,
    labels: AnyPath | None = None,
    samples: AnyPath | None = None,
    audit: AnyPath | None = None,
    audit_samples: AnyPath | None = None,
    drift: Sequence[AnyPath] = (),
    inbox: str | None = None,
    data: Sequence[AnyPath] = (),
    train: str | None = None,
    config: AnyPath | None = None,
    recipe: str = "fine-tune",
    replay: int | None = None,
    epochs: int = 8,
    learning_rate: float = 5e-4,
    seed: int = 0,
    tolerance: float = 1.0,
    force: bool = False,
    dry_run: bool = False,
    promote: str | None = None,
    out: AnyPath | None = None,
    page: AnyPath | None = None,
    now: datetime | str | None = None,
    progress: bool = False,
) -> RetrainResult:
    """Train the champion of `name` again where it is time to, and compare the challenger with it.

    `labels` and `audit`: CSV files with the columns sample and label, whose inputs are in `samples` (`audit_samples`), a folder
    or an `.npz`. `drift`: results of `judge_drift` as JSON, `inbox`: where they are to be judged. `data`: folders with the
    champion's own data, which is found by its digest. `recipe`: fine-tune, or a command with {model}, {train}, {out} and {seed}.
    `promote`: `staging` moves there what is better. `out`: where challengers are made (default: runs/NAME-retraining). `now`:
    when it is, a text of ISO 8601 or a moment.

    The result's outcome is `nothing to do`, `would train` (`dry_run`), `better` or `refused`. Raises InputError for what cannot
    be used: nothing was registered then.
    """
    from edgeship.learning.retraining import retrain
    from edgeship.learning.retraining.page import write_retraining_page
    from edgeship.learning.retraining.request import RetrainRequest

    _check_places(promote, page)
    folder = Path(out) if out is not None else Path("runs") / f"{name or 'champion'}-retraining"
    check_outside_of_bundles(folder / "bundle")
    moment = _find_moment(now)
    request = RetrainRequest(
        name=name, store=store, out=folder, labels=optional_path(labels), samples=optional_path(samples),
        audit=optional_path(audit), audit_samples=optional_path(audit_samples), drift=tuple(map(Path, drift)), inbox=inbox,
        data=tuple(map(Path, data)), train=train, config=optional_path(config), recipe=recipe, replay=replay, epochs=epochs,
        learning_rate=learning_rate, seed=seed, tolerance=tolerance, force=force, dry_run=dry_run,
        promote=promote is not None, now=moment,
    )  # fmt: skip
    with set_visibility(progress):
        result = retrain.retrain(request)
    if page is not None:
        write_retraining_page(result, Path(page))
    return result


def _find_moment(now: datetime | str | None) -> datetime:
    """The moment, of UTC where it does not say."""
    from edgeship.learning.retraining.decide import parse_moment

    moment = parse_moment(now) if isinstance(now, str) else now or datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_places(promote: str | None, page: AnyPath | None) -> None:
    """Raises InputError for another alias than staging, and for a page that cannot be written there."""
    from edgeship.monitoring.drift.page import check_page

    if promote not in (None, "staging"):
        raise unknown_name_error("alias to promote to", str(promote), ["staging"])
    if page is not None:
        check_page(Path(page))
        check_outside_of_bundles(Path(page))


def describe_retraining(result: RetrainResult) -> tuple[Section, ...]:
    """A result as tables for people."""
    from edgeship.learning.retraining.page import describe_retraining as describe

    return tuple(describe(result))
