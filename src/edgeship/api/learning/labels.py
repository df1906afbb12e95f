"""Labels: which samples to label, and the page to do so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import Data, MemoryFiles, check_outside_of_bundles, optional_path
from edgeship.errors import InputError

if TYPE_CHECKING:
    from edgeship.learning.labels.check import LabelCheck
    from edgeship.learning.labels.label_server import LabelServer
    from edgeship.learning.labels.select import Selection


def select_samples(
    samples: AnyPath,
    out: AnyPath,
    *,
    count: int,
    audit: int = 0,
    audit_out: AnyPath | None = None,
    bundle: AnyBundle | None = None,
    evaluation: Data | None = None,
    labelled: Sequence[AnyPath] = (),
    seed: int = 0,
) -> Selection:
    """Draw samples to label into the CSV `out`, half by margin and half at random, and a random audit into `audit_out`.

    `samples`: a folder with samples.csv and NAME.npz, or an `.npz`, which the `bundle` scores. Left out are samples in the tables
    `labelled`, and with a bundle those of its evaluation data (`evaluation`, by default where the bundle says that it lies).

    Raises InputError where there are too few, and for files that are there already.
    """
    from edgeship.learning.labels import select

    opened = None if bundle is None else open_bundle(bundle)
    for path in (out, audit_out):
        if path is not None:
            check_outside_of_bundles(Path(path))
    with MemoryFiles() as files:
        data = files.data_source(evaluation, "evaluation")
        request = select.SelectRequest(
            samples=Path(samples), out=Path(out), count=count, audit=audit, audit_out=optional_path(audit_out),
            bundle=opened, data=data or select.find_evaluation(opened), labelled=tuple(map(Path, labelled)), seed=seed,
        )  # fmt: skip
        return select.select_samples(request)


def open_labelling(
    folder: AnyPath,
    table: AnyPath,
    *,
    annotator: str = "one",
    bundle: AnyBundle | None = None,
    classes: Sequence[str] = (),
    out: AnyPath | None = None,
    again: bool = False,
    port: int = 0,
) -> LabelServer:
    """A page on this machine for labelling the samples of a table: `url`, `serve()` until `stop()`; a context manager.

    `folder`: where the inputs are, as for `select_samples`. `classes`: what may be said (default: the bundle's labels). `out`:
    the labels, a CSV to which each answer is added (default: `labels.csv` beside the table); what it holds already is not asked
    again, but with `again` what is likely wrong by the bundle.

    Raises InputError for a port in use, and where nothing says which classes there are.
    """
    from edgeship.learning.labels.label_server import LabelServer
    from edgeship.learning.labels.label_session import find_likely_errors, open_session

    opened = None if bundle is None else open_bundle(bundle)
    place = Path(out) if out is not None else Path(table).with_name("labels.csv")
    check_outside_of_bundles(place)
    session = open_session(Path(folder), Path(table), place, annotator, opened, tuple(classes))
    if again:
        if opened is None:
            raise InputError("which labels are likely wrong is for a model to say: name the --bundle")
        session.ask_again(find_likely_errors(session.source, session.given, opened, session.classes))
    return LabelServer(session, port)


def check_labels(
    samples: AnyPath, labels: AnyPath, *, bundle: AnyBundle | None = None, classes: Sequence[str] = ()
) -> LabelCheck:
    """How far the annotators of a table of labels agree, and with a `bundle` which labels are likely wrong."""
    from edgeship.learning.labels.check import check_labels as check

    return check(Path(samples), Path(labels), None if bundle is None else open_bundle(bundle), tuple(classes))
