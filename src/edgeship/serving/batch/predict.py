"""One run: rows of a source, through an artifact of a bundle, into a sink, once each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pyarrow as pa

from edgeship.bundle.bundle import Bundle
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.counts import RunCounter, find_counter
from edgeship.serving.batch.model import BatchModel, find_model
from edgeship.serving.batch.opening import open_database, open_engine, open_sink, open_source
from edgeship.serving.batch.rows.columns import list_names, map_columns
from edgeship.serving.batch.rows.outputs import OutputColumns, describe_outputs
from edgeship.serving.batch.rows_progress import RowsProgress
from edgeship.serving.batch.run import BatchRun, Options
from edgeship.serving.batch.scoring import Chunk, Engine, Scoring, score_chunks
from edgeship.serving.batch.sinks.sink import Current, Job, Sink, check_version
from edgeship.serving.batch.sinks.sql_text import check_table_name
from edgeship.serving.batch.sources.files import Source
from edgeship.serving.batch.survey import Reading, Survey, later_value, read_keys, survey_source, watermark_value
from edgeship.storage import digest

MANY = 16  # chunks from which on workers are started during the first pass
CHANGED = "the source was changed while it was read; run the command again"


@dataclass(frozen=True)
class Plan:
    """What a run works with, checked and opened. `source_name` is its address, with the query where there is one."""

    model: BatchModel
    version: str
    outputs: tuple[OutputColumns, ...]
    source: Source
    source_name: str
    reading: Reading
    sink: Sink
    current: Current
    counter: RunCounter | None
    no_counts: str

    @property
    def scoring(self) -> Scoring:
        """What workers need."""
        tensors = {item.input: item.tensor for item in self.model.entry.inputs}
        return Scoring(self.reading.inputs, self.outputs, tensors, self.reading.key, self.model.runtime, self.counter)


def predict_rows(bundle: Bundle, origin: Address, target: Address, options: Options) -> BatchRun:
    """Score every row of the source and write what comes out (`sinks/`).

    Raises InputError where source, sink and model do not fit, before anything is written, MissingDependencyError, ProcessError.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        plan = _open_plan(stack, bundle, origin, target, options)
        engine = stack.enter_context(closing(open_engine(options.engine, plan.scoring, plan.model.artifact.path)))
        survey = _survey(plan, engine)
        if not survey.rows and not options.since:
            raise InputError(f"{origin}: holds no row")
        job = _describe_job(plan, survey)
        written, shown = _run_job(plan, job, survey, engine) if survey.rows else (0, "")
    seconds = time.monotonic() - start
    return BatchRun(
        str(origin), str(target), options.table, plan.model.entry.id, plan.version, job.id, survey.rows, written, job.chunks,
        plan.reading.size, seconds, written / seconds, shown, survey.watermark,
        plan.sink.counts_name if plan.counter else "", plan.no_counts,
    )  # fmt: skip


def _open_plan(stack: ExitStack, bundle: Bundle, origin: Address, target: Address, options: Options) -> Plan:
    model = find_model(bundle, options.artifact)
    check_table_name(options.table)
    if options.current is not None and not target.is_database:
        raise InputError(f"{target}: --current needs a database; a Parquet file has no view")
    version = options.version or model.default_version
    check_version(version)
    outputs = describe_outputs(model.contract.outputs, model.entry)
    counter, no_counts = find_counter(bundle.root, model, outputs)
    # The database first: where it is the source's, too, its journal changes before a snapshot is taken.
    database = stack.enter_context(closing(open_database(target))) if target.is_database else None
    source = stack.enter_context(closing(open_source(origin, options.query, options.key, model.contract)))
    reading = _plan_reading(source, origin, model, options)
    first = next(source.read((reading.key,), reading.size), None)
    key_is_text = first is not None and bool(pa.types.is_string(read_keys(first, reading.key, 1).type))
    columns = [column for item in outputs for column in item.columns]
    sink = stack.enter_context(closing(open_sink(target, database, options.table, version, key_is_text, columns)))
    if first is not None:  # else nothing tells the type of keys, and nothing will be written
        sink.check()
    source_name = f"{origin}: {' '.join(options.query.split())}" if options.query else str(origin)
    if options.since:
        reading = _read_since(sink, reading, version, source_name)
    return Plan(
        model, version, outputs, source, source_name, reading, sink, options.current or Current(version=version),
        counter, no_counts,
    )  # fmt: skip


def _plan_reading(source: Source, origin: Address, model: BatchModel, options: Options) -> Reading:
    for option, name in (("--key", options.key), ("--since", options.since)):
        if name is not None and name not in source.names:
            raise InputError(f"{origin}: no column {name} ({option}); it has {list_names(source.names)}")
    inputs = map_columns(model.contract.inputs, source.names, origin)
    return Reading(inputs, options.key, options.batch or model.default_rows, options.since or "")


def _read_since(sink: Sink, reading: Reading, version: str, source: str) -> Reading:
    """From the greatest watermark on: a row that has the same value may have come after it was read."""
    least = None
    for text in sink.find_watermarks(version, source, reading.since):
        least = later_value(least, watermark_value(text))
    return replace(reading, least=least)


def _survey(plan: Plan, engine: Engine) -> Survey:
    with RowsProgress("checked") as progress:

        def tell(rows: int) -> None:
            progress.tell(rows)
            if rows >= MANY * plan.reading.size:
                engine.warm()

        return survey_source(plan.source, plan.reading, tell)


def _describe_job(plan: Plan, survey: Survey) -> Job:
    model, reading = plan.model, plan.reading
    content = {
        "version": plan.version,
        "artifact": digest.of_path(model.artifact.path),
        "rows": reading.size,
        "chunks": list(survey.digests),
        **({"profile": plan.counter.profile} if plan.counter else {}),  # counts in other bins are not added to these
    }
    return Job(
        digest.of_json(content), plan.version, model.bundle, model.entry.id, plan.source_name, survey.rows,
        len(survey.digests), survey.key_is_text, survey.least_key, survey.greatest_key, reading.since, survey.watermark,
    )  # fmt: skip


def _run_job(plan: Plan, job: Job, survey: Survey, engine: Engine) -> tuple[int, str]:
    """Write the chunks that are not in, and end the job; rows that were written, and the version that the view shows."""
    written, present = 0, plan.sink.begin(job)
    if len(present) < job.chunks:
        chunks = _missing_chunks(plan, survey, present)
        with RowsProgress("predicted", survey.rows) as progress:
            written = _write_chunks(engine, chunks, plan.sink, job, progress)
    return written, plan.sink.finish(job, plan.current)


def _missing_chunks(plan: Plan, survey: Survey, present: frozenset[int]) -> Iterator[Chunk]:
    first = 1
    for number, rows in enumerate(plan.reading.chunks(plan.source)):
        if number >= len(survey.digests):
            raise InputError(CHANGED)
        if number not in present:
            yield Chunk(number, first, rows, survey.digests[number])
        first += rows.num_rows
    if first - 1 != survey.rows:
        raise InputError(CHANGED)


def _write_chunks(engine: Engine, chunks: Iterator[Chunk], sink: Sink, job: Job, progress: RowsProgress) -> int:
    written = seen = 0
    for chunk, scored in score_chunks(engine, chunks):
        count = scored.rows.num_rows
        written += count if sink.write(job, chunk.number, scored.rows, scored.counts) else 0
        seen += count
        progress.tell(seen)
    return written
