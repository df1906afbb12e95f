"""Labels looked at once more: whether annotators agree, and which labels the model finds unlikely."""

from __future__ import annotations

from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.learning.labels.agreement import Agreement, compare_annotators
from edgeship.learning.labels.label_session import find_likely_errors
from edgeship.learning.labels.suspects import Suspect
from edgeship.learning.samples.sample_source import open_samples
from edgeship.learning.samples.sample_table import read_sample_labels
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class LabelCheck:
    """The agreement of annotators, and the labels that are likely wrong (none without a bundle)."""

    agreement: Agreement
    suspects: tuple[Suspect, ...]


def check_labels(samples: Path, labels: Path, bundle: Bundle | None, classes: tuple[str, ...]) -> LabelCheck:
    """Both of a table of labels. Raises InputError for tables, samples and bundles that do not fit each other."""
    agreement = compare_annotators(labels)
    if bundle is None:
        return LabelCheck(agreement, ())
    source = open_samples(samples, bundle.manifest.server.inputs)
    names = classes or bundle.manifest.labels or ()
    return LabelCheck(agreement, find_likely_errors(source, read_sample_labels(labels).labels, bundle, names))
