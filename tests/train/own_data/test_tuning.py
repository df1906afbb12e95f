"""Searches: what is tried, what is stopped, what an interruption leaves."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from edgeship.errors import InputError
from edgeship.train.own_data.configuration import Configuration, Plan
from edgeship.train.own_data.networks import SOUND_SIZES, TABLE_SIZES, WINDOW_SIZES, picture_sizes, table_sizes
from edgeship.train.own_data.protocol import ProtocolOptions
from edgeship.train.own_data.search_results import Trial, TuningOptions, choose_trial
from edgeship.train.own_data.tuning import search
from edgeship.train.own_data.tuning.halving import rung_epochs, rung_limits
from edgeship.train.own_data.tuning.journal import FILE, Journal, open_journal
from edgeship.train.own_data.tuning.space import list_ranges, read_configuration, usual_values
from edgeship.train.own_data.tuning.trial import Task
from edgeship.train.own_data.tuning.worker import Assignment
from edgeship.train.own_data.tuning.workers import Workers
from tests.train.own_data.tables import SHOP, shop_rows, write_table
from tests.train.own_data.test_end_to_end import run

PLAN = Plan(40, 32)


SIZES = [*(table_sizes(*of) for of in ((100, 3), (5000, 3), (5000, 0))), WINDOW_SIZES, SOUND_SIZES]


@pytest.mark.parametrize("sizes", [*SIZES, *(picture_sizes((n, n, 3)) for n in (4, 96))])
def test_the_usual_configuration_is_one_of_the_space(sizes: Any) -> None:
    usual, ranges = usual_values(sizes, PLAN), list_ranges(sizes, PLAN)
    assert usual.keys() == ranges.keys()
    assert all(ranges[name].low <= value <= ranges[name].high for name, value in usual.items())
    assert read_configuration(usual, PLAN) == Configuration(sizes.usual, PLAN)


def test_trials_are_stopped_as_optunas_pruner_would() -> None:
    """Sixty trials of two rungs, one after the other: the same are promoted as by its successive halving."""
    random = np.random.default_rng(7)
    study = optuna.create_study(pruner=optuna.pruners.SuccessiveHalvingPruner(1, 3, 0))
    trials: list[Trial] = []
    for number in range(60):
        reference, losses, stopped = study.ask(), [], False
        for rung, limit in enumerate(rung_limits(trials, 2)):
            loss = float(random.integers(0, 20)) / (rung + 1)
            losses.append(loss)
            reference.report(loss, 3**rung)
            stopped = limit is not None and loss > limit
            assert stopped == reference.should_prune(), (number, rung)
            if stopped:
                break
        if stopped:
            study.tell(reference, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(reference, losses[-1])
        trials.append(Trial(number, {}, 1, 0, stopped, tuple(losses), losses[-1]))
    assert 0 < sum(not trial.stopped for trial in trials) < 20


def test_rungs_are_before_the_end() -> None:
    assert rung_epochs(81) == (9, 27)
    assert rung_epochs(2) == (1,) and rung_epochs(1) == ()


class MadeUp(Workers):
    """Losses by a formula; the trial of number `deadly` is never done."""

    def __init__(self, deadly: int | None = None) -> None:
        self.begun: list[Task] = []
        self._deadly = deadly

    def submit(self, assignment: Assignment, trial_data: Any) -> Future[Trial]:
        task = assignment.task
        self.begun.append(task)
        if task.number == self._deadly:
            raise KeyboardInterrupt
        values = task.values
        loss = (math.log(values["learning_rate"]) + 6) ** 2 + values["dropout"] + values["depth"] / 10
        stopped = task.limits[0] is not None and loss > task.limits[0]
        future: Future[Trial] = Future()
        losses = (loss,) if stopped else (loss, loss)
        future.set_result(Trial(task.number, values, 0.1 if stopped else 1.0, 0.0, stopped, losses, loss))
        return future

    def close(self, *, after_failure: bool) -> None:
        pass


def search_once(folder: Path, count: int, workers: MadeUp, seed: int = 0) -> tuple[Trial, ...]:
    prepared = SimpleNamespace(sizes=TABLE_SIZES)
    data: Any = SimpleNamespace(prepared=lambda _: prepared, plan=PLAN, splits=[0])
    assignment = Assignment({}, None, ProtocolOptions(), 0, Task(0, {}, (), seed, None), "")
    with open_journal(folder) as storage:
        journal = Journal(storage, f"search {seed}", list_ranges(TABLE_SIZES, PLAN), seed)
        return search._search(data, assignment, journal, workers, TuningOptions(count), "", lambda **_: None)


def test_an_interrupted_search_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = search_once(tmp_path / "whole", 20, MadeUp())
    assert len(whole) == 20 and whole[0].values == usual_values(TABLE_SIZES, PLAN)
    for deadly in (13, 5):
        with pytest.raises(KeyboardInterrupt):
            search_once(tmp_path / f"{deadly}", 20, MadeUp(deadly))
        workers = MadeUp()
        assert search_once(tmp_path / f"{deadly}", 20, workers) == whole
        assert [task.number for task in workers.begun] == [*range(deadly, 20)], "none is done twice"
    assert search_once(tmp_path / "whole", 20, MadeUp(0)) == whole, "nothing is left to do"
    more = MadeUp()
    assert search_once(tmp_path / "whole", 23, more)[:20] == whole and len(more.begun) == 3
    assert search_once(tmp_path / "whole", 20, MadeUp(), seed=1)[1:] != whole[1:]
    best = choose_trial(whole)
    assert best.loss is not None and whole[0].loss is not None and best.loss < whole[0].loss


def test_a_journal_is_one_searchs_and_survives_a_kill_within_a_line(tmp_path: Path) -> None:
    whole = search_once(tmp_path, 6, MadeUp())
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-5])
    assert search_once(tmp_path, 6, MadeUp()) == whole
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "{nothing", *lines[3:]]) + "\n")
    with pytest.raises(InputError, match="a damaged journal; remove it"):
        search_once(tmp_path, 6, MadeUp())


@pytest.mark.more
def test_a_killed_training_does_not_repeat_its_trials(tmp_path: Path) -> None:
    """SIGKILL in the middle of a search: the same command finishes it, with the trials of a search that was left alone."""
    write_table(tmp_path / "shop.csv", ("day", *SHOP), [(day, *row) for day, row in enumerate(shop_rows(240))])
    command = "edgeship train --data shop.csv --label bought --time day --epochs 3 --tune 4 --allow-worse --out"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "EDGESHIP_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [*command.split(), "out"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("configuration 2 of 4" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (tmp_path / "out" / "server.keras").exists()
    done = run(tmp_path, f"{command} out")
    assert done.returncode == 0, done.stderr
    assert "2 trials are in the journal" in done.stderr
    assert done.stderr.count("configuration ") == 2, done.stderr
    assert run(tmp_path, f"{command} whole").returncode == 0
    cards = [json.loads((tmp_path / folder / "model-card.json").read_text()) for folder in ("out", "whole")]
    (first,), (second,) = (card["tuning"]["searches"] for card in cards)
    assert [trial["values"] for trial in first["trials"]] == [trial["values"] for trial in second["trials"]]
    assert [trial["loss"] for trial in first["trials"]] == [trial["loss"] for trial in second["trials"]]
    assert first["chosen_loss"] <= first["usual_loss"] == first["trials"][0]["loss"]
    with (tmp_path / "out" / "tuning.csv").open() as stream:
        assert [row["taken"] for row in csv.DictReader(stream)].count("yes") == 1
    assert "<svg" in (tmp_path / "out" / "tuning.svg").read_text()
    assert {"tuning.csv", "tuning.svg", "model-card.html"} <= cards[0]["files"].keys()
    assert "no test sample was used" in (tmp_path / "out" / "model-card.md").read_text()


@pytest.mark.more
def test_trials_run_in_processes_side_by_side(tmp_path: Path) -> None:
    write_table(tmp_path / "shop.csv", ("day", *SHOP), [(day, *row) for day, row in enumerate(shop_rows(240))])
    done = run(
        tmp_path,
        "edgeship train --data shop.csv --label bought --time day --epochs 3 --tune 4 --processes 2 --allow-worse --out out",
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((tmp_path / "out" / "model-card.json").read_text())["tuning"]["searches"]
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3]
    assert found["chosen_loss"] <= found["usual_loss"]
