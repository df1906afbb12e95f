"""The trials of a search as a table."""

from __future__ import annotations

import csv
from io import StringIO

from edgeship.train.own_data.search_results import Tuning


def render_csv(tuning: Tuning) -> str:
    """One trial a line, with the number of its split, from 1 on."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(tuning.searches[0].trials[0].values)
    writer.writerow(["split", "trial", *names, "validation_loss", "trained_share", "stopped", "taken", "seconds"])
    for number, search in enumerate(tuning.searches, 1):
        for trial in search.trials:
            values = [f"{trial.values[name]:.6g}" for name in names]
            taken = "yes" if trial.number == search.chosen else "no"
            loss = "" if trial.loss is None else f"{trial.loss:.6g}"
            stopped = "yes" if trial.stopped else "no"
            writer.writerow([number, trial.number, *values, loss, trial.budget, stopped, taken, trial.seconds])
    return out.getvalue()
