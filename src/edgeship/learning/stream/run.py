"""A stream from its source to versions: rows are answered, kept, and learned by the interval.

All that must not be forgotten changes in one commit (`state.py`); what is made of an interval is kept by its content. Killed at
any moment, the same command goes on at the next row, and ends as if it had never been killed.
"""

from __future__ import annotations

import platform
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock

from edgeship.bundle.bundle import Bundle
from edgeship.deploy.contract.contract import read_contract
from edgeship.errors import CheckError, InputError
from edgeship.learning.retraining.champion import Champion, find_champion, open_champion, open_version
from edgeship.learning.retraining.gather import LabelledSamples
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.learning.samples.sample_digests import digest_dataset, digest_samples
from edgeship.learning.stream.deltas import measure_deltas
from edgeship.learning.stream.intake import POSITION, Intake
from edgeship.learning.stream.page import write_quarantine, write_reports
from edgeship.learning.stream.predictor import Predictor
from edgeship.learning.stream.publishing import check_keys, publish_snapshot
from edgeship.learning.stream.request import StreamRequest
from edgeship.learning.stream.results import DriftSign, IntervalRecord, StreamResult, count_share
from edgeship.learning.stream.row_reader import make_reader
from edgeship.learning.stream.snapshot import Lesson, Snapshot, make_snapshot, read_snapshots
from edgeship.learning.stream.sources.opening import QueueReader, open_source
from edgeship.learning.stream.sources.source import Answer
from edgeship.learning.stream.state import OpenInterval, StreamState
from edgeship.model_registry.promotion import CLAIMS, compare_with_champion, promote_version
from edgeship.model_registry.store import Store, open_store
from edgeship.model_registry.version import Version
from edgeship.notices import print_notice
from edgeship.processes.child import training_env
from edgeship.processes.executors import ProcessExecutor
from edgeship.storage import digest
from edgeship.storage.adbc import hide_password
from edgeship.untrusted import printable

PAGE, TABLE, QUARANTINE = "stream.html", "intervals.csv", "quarantine.jsonl"
IDENTITY, MODEL, CONSUMER = "identity", "model", "consumer"  # facts of the state


def run_stream(request: StreamRequest) -> StreamResult:
    """Take what the source has, and with `once` end there; else wait for more until it is interrupted.

    Raises InputError for what cannot be used; what was learned until then stays.
    """
    with ExitStack() as stack:
        check_keys(request)
        request.state.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(request.state / ".lock", timeout=0)
        try:
            stack.enter_context(lock)
        except filelock.Timeout as error:
            raise InputError(f"{printable(request.state)}: another stream is at work on this state") from error
        state = stack.enter_context(closing(StreamState(request.state)))
        with open_store(request.store) as store:
            champion, model = _open_champion(store, request, state)
        stream = _Stream(request, state, champion, model)
        stack.callback(stream.close)
        return stream.run()


def _open_champion(store: Store, request: StreamRequest, state: StreamState) -> tuple[Champion, int]:
    """The champion that the stream began with, and the version that predicts now."""
    name = store.resolve_name(request.name)
    current, known = find_champion(store, name), state.read_fact(IDENTITY)
    asked = _describe_request(request, name)
    if known is None:
        version, model = current, current.number
    else:
        _check_same(request, known, asked)
        version, model = store.version(name, str(known["champion"])), int(state.read_fact(MODEL))
        ours = {number for number, item in read_snapshots(store, name).items() if item.champion == version.number}
        if current.number != version.number and current.number not in ours:
            raise InputError(
                f"the champion is version {current.number} now, and this stream began with {version.number}: begin a new --state"
            )
    asking = RetrainRequest(
        name=name, store=request.store, out=request.state, data=request.data, train=request.train, config=request.config,
        replay=request.replay, seed=request.seed,
    )  # fmt: skip
    champion = open_champion(store, version, asking)
    if champion.label_form.classes is None:
        raise InputError("the model answers with values: a stream counts right and wrong answers, so it is for classes")
    return champion, model


def _describe_request(request: StreamRequest, name: str) -> dict[str, object]:
    """What must not change while a stream goes on, by the options that say it."""
    return {
        "--name": name,
        "--from": hide_password(request.source) if "://" in request.source else request.source,
        "--label": request.label,
        "--key": request.key,
        "--query": " ".join(request.query.split()) if request.query else None,
        "--watermark": request.watermark,
        "--interval": str(request.interval),
        "--replay": request.replay,
        "--epochs": request.epochs,
        "--learning-rate": request.learning_rate,
        "--batch": request.batch,
        "--seed": request.seed,
        "--head-only": request.head_only,
        "--config": digest.of_path(request.config) if request.config else None,
    }


def _check_same(request: StreamRequest, known: dict[str, object], asked: dict[str, object]) -> None:
    for option, value in asked.items():
        if known.get(option) != value:
            before, now = (printable(str(item)) for item in (known.get(option), value))
            raise InputError(
                f"{printable(request.state)}: the state of another stream: {option} was {before}, and is {now}; go on as "
                "it began, or begin a new --state"
            )


class _Stream:
    def __init__(self, request: StreamRequest, state: StreamState, champion: Champion, model: int) -> None:
        self.request, self.state, self.champion, self.model = request, state, champion, model
        self._opened: Predictor | None = None
        self._trainer = ProcessExecutor(
            "stream", training_env()
        )  # TensorFlow is started once, and only where it is needed
        limit = champion.settings.data.evaluation_samples
        judging = frozenset(digest_dataset(champion.evaluation, champion.manifest.server.inputs, limit))
        self.intake = Intake(state, request.interval, champion.label_form, judging, self._predictor)
        self._new: list[IntervalRecord] = []

    def run(self) -> StreamResult:
        """To the end of what there is, or on and on."""
        contract = read_contract(self.champion.bundle.root)
        if contract is None:
            raise InputError(
                "the champion's bundle has no contract, which says how columns become inputs; make it again"
            )
        readers = []

        def choose_columns(names: Sequence[str]) -> Sequence[str]:
            readers.append(
                make_reader(contract, self.request.key, self.request.label, names, hide_password(self.request.source))
            )
            return readers[0].columns

        request = self.request

        def answer(rows: Any, places: Sequence[str], faults: Sequence[str]) -> Sequence[Answer]:
            self._begin()
            return self.intake.answer(readers[0], rows, places, faults)

        queue = QueueReader(
            self.champion.version.name,
            contract.inputs,
            request.key,
            request.label,
            self._name_consumer(),
            request.claim_after,
        )
        with closing(open_source(request.source, request.query, request.watermark, choose_columns, queue)) as source:
            while True:
                if why := self.intake.find_end():
                    self._close_interval(why)
                    continue
                served = source.serve(answer)
                fetched = source.fetch(self.state.read_fact(POSITION), self.intake.count_room())
                if fetched is not None:
                    self._begin()
                    self.intake.take(source, readers[0], fetched)
                elif request.once and not served:
                    break
                elif not served:
                    source.wait(request.poll)
            answered = source.count_answers()
        result = replace(self.describe(), answered=answered)
        if result.is_empty:
            raise InputError(f"{hide_password(request.source)}: holds no row")
        self._report(result)
        return result

    def _begin(self) -> None:
        """From the first row on the state is of this stream: what was asked for wrongly until then binds nobody."""
        if self.state.read_fact(IDENTITY) is None:
            asked = _describe_request(self.request, self.champion.version.name)
            with self.state.commit():
                self.state.write_fact(IDENTITY, {**asked, "champion": self.champion.version.number})
                self.state.write_fact(MODEL, self.model)

    def _name_consumer(self) -> str:
        """Who reads a queue for this state: the same after a crash, so that it gets what it had taken."""
        name = self.state.read_fact(CONSUMER)
        if name is None:
            name = f"{platform.node()[:40]}-{secrets.token_hex(4)}"
            with self.state.commit():
                self.state.write_fact(CONSUMER, name)
        return str(name)

    def close(self) -> None:
        """End the processes."""
        self._trainer.close(after_failure=False)
        if self._opened is not None:
            self._opened.close()

    def _predictor(self) -> Predictor:
        if self._opened is None or self._opened.version != self.model:
            if self._opened is not None:
                self._opened.close()
            self._opened = Predictor(self.model, self._open_bundle(self.model))
        return self._opened

    def _open_bundle(self, number: int) -> Bundle:
        if number == self.champion.version.number:
            return self.champion.bundle
        with open_store(self.request.store) as store:
            return open_version(store, store.version(self.champion.version.name, str(number)), self._place(number))

    def _place(self, number: int) -> Path:
        return self.request.state / "versions" / str(number)

    def _close_interval(self, why: str) -> None:
        interval = self.state.open_interval
        inputs, labels = self.state.read_interval(interval.number)
        form = self.champion.label_form
        samples = LabelledSamples(
            inputs, labels.astype(form.dtype).reshape(-1, *form.shape), tuple(digest_samples(inputs))
        )
        parent = self._open_bundle(self.model)
        lesson = Lesson(interval.number, samples, self.model, parent)
        folder = self.request.state / "intervals" / f"{interval.number:04}"
        record = self._describe_interval(interval, why)
        with open_store(self.request.store) as store:
            try:
                version, snapshot = make_snapshot(store, self.champion, self.request, lesson, folder, self._trainer)
            except CheckError as error:  # the loss did not stay finite
                record = replace(record, reasons=(str(error)[:500],))
            else:
                record = self._add_snapshot(store, record, version, snapshot, parent)
        with self.state.commit():
            self.state.close_interval(record)
            if record.verdict == "accepted":
                self.state.write_fact(MODEL, record.version)
            self.state.open_interval = OpenInterval(interval.number + 1)
        if record.verdict == "accepted" and record.version is not None:
            if self.model != self.champion.version.number:
                shutil.rmtree(self._place(self.model), ignore_errors=True)
            self.model = record.version
        shutil.rmtree(folder, ignore_errors=True)  # the registry has all of it
        self.intake.begin_interval()
        self._new.append(record)
        print_notice(describe_interval(record))
        self._report(self.describe())

    def _describe_interval(self, interval: OpenInterval, why: str) -> IntervalRecord:
        first, last = self.state.read_bounds(interval.number)
        rows, right = self.state.count_rows(interval.number)
        drift = None
        if interval.drift_row:
            drift = DriftSign(interval.drift_row, interval.drift_before, interval.drift_now)
        return IntervalRecord(
            interval.number, first, last, why, self.model, self.model, None, "refused", (), count_share(right, rows), drift=drift
        )  # fmt: skip

    def _add_snapshot(
        self, store: Store, record: IntervalRecord, version: Version, snapshot: Snapshot, parent: Bundle
    ) -> IntervalRecord:
        """What the registry says of the snapshot; an accepted one is what predicts from now on."""
        record = replace(
            record, version=version.number, verdict=snapshot.verdict, reasons=snapshot.reasons, replay=snapshot.replay,
            rows_digest=snapshot.rows.digest, server=snapshot.server,
        )  # fmt: skip
        if snapshot.verdict == "refused":
            return record
        bundle = open_version(store, version, self._place(version.number))
        if self.request.promote and store.aliases(version.name).get("staging") != version.number:
            why = f"interval {record.number} of the stream of version {self.champion.version.number}"
            try:
                promote_version(store, version, "staging", why)
            except CheckError as error:  # promotion asks for more than the stream does
                print_notice(f"not promoted: {error}")
        published = None
        if self.request.channel is not None:
            findings = list(compare_with_champion(store, self.champion.version, version, CLAIMS[0]))
            if doubts := [item.reason for item in findings if not item.holds]:
                print_notice(
                    f"version {version.number} is not published, as devices get what is surely not worse: {'; '.join(doubts)}"
                )
            else:
                published = publish_snapshot(bundle, self.request)
        return replace(record, deltas=measure_deltas(parent, bundle), published=published)

    def describe(self) -> StreamResult:
        """The stream as it stands."""
        rows, right = self.state.count_rows()
        folder = self.request.state
        counts = self.state.counts
        return StreamResult(
            name=self.champion.version.name,
            champion=self.champion.version.number,
            model=self.model,
            share=count_share(right, rows),
            counts=counts,
            intervals=self.state.list_intervals(),
            waiting=self.state.count_rows(self.state.open_interval.number)[0],
            new=len(self._new),
            refused=sum(item.verdict == "refused" for item in self._new),
            page=folder / PAGE,
            table=folder / TABLE,
            quarantine=folder / QUARANTINE if counts.set_aside else None,
        )

    def _report(self, result: StreamResult) -> None:
        write_reports(result)
        if result.quarantine:
            write_quarantine(self.state.list_aside(), result.quarantine)


def describe_interval(record: IntervalRecord) -> str:
    """An interval on a line."""
    share = record.share
    early = ""
    if record.drift:
        early = f", ended early by drift (wrong answers {record.drift.before:.1%} -> {record.drift.now:.1%})"
    what = f"version {record.version} {record.verdict}" if record.version else "the loss did not stay finite, refused"
    why = f": {record.reasons[0]}" if record.verdict == "refused" and record.reasons else ""
    return (
        f"interval {record.number}: {share.right:,} of {share.rows:,} right ({share.accuracy:.1%}){early}; {what}{why}"
    )
