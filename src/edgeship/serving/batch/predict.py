"""One run: rows of a source, through an artifact of a bundle, into a sink, once each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pyarrow as pa

from edgeship.bundle.bundle import Bundle
from edgeship.errors import InputError, unknown_name_error
from edgeship.serving.batch.addresses import Address
from edgeship.serving.batch.columns import list_names, map_columns
from edgeship.serving.batch.model import BatchModel, find_model
from edgeship.serving.batch.opening import open_database, open_sink, open_source
from edgeship.serving.batch.outputs import OutputColumns, describe_outputs
from edgeship.serving.batch.rows_progress import RowsProgress
from edgeship.serving.batch.run import BatchRun, Options
from edgeship.serving.batch.scoring import Chunk, Engine, LocalEngine, Scoring, count_cores, score_chunks
from edgeship.serving.batch.sinks import Current, Job, Sink, check_version
from edgeship.serving.batch.sources import Source
from edgeship.serving.batch.sql_text import check_table_name
from edgeship.serving.batch.survey import Reading, Survey, read_keys, survey_source, watermark_value
from edgeship.storage import digest

ENGINES = ("local",)


def predict_rows(bundle: Bundle, origin: Address, target: Address, options: Options) -> BatchRun:
    """Score every row of the source and write what comes out (`ledger`, `parquet_sink`).

    Raises InputError where source, sink and model do not fit, before anything is written, MissingDependencyError, ProcessError.
    """
    start = time.monotonic()
    check_table_name(options.table)
    if options.engine not in ENGINES:
        raise unknown_name_error("engine", options.engine, ENGINES)
    model = find_model(bundle, options.artifact)
    version = options.version or model.default_version
    check_version(version)
    outputs = describe_outputs(model.contract.outputs, model.entry)
    with ExitStack() as stack:
        # the database first: where it is the source's, too, its journal changes before a snapshot is taken
        database = stack.enter_context(closing(open_database(target))) if target.is_database else None
        source = stack.enter_context(closing(open_source(origin, options.query, options.key, model.contract)))
        reading = _plan_reading(source, origin, model, options)
        columns = [column for item in outputs for column in item.columns]
        key_is_text = _find_key_type(source, reading)
        sink = stack.enter_context(closing(open_sink(target, database, options.table, version, key_is_text, columns)))
        sink.check()
        if options.since:
            reading = _read_since(sink, reading, version, str(origin))
        with RowsProgress("checked") as progress:
            survey = survey_source(source, reading, progress.tell)
        if not survey.rows and not options.since:
            raise InputError(f"{origin}: holds no row")
        job = _describe_job(model, version, origin, reading, survey)
        written = shown = None
        if survey.rows:
            written, shown = _run_job(job, source, reading, survey, sink, model, outputs, options.current)
    seconds = time.monotonic() - start
    return BatchRun(
        str(origin), str(target), options.table, model.entry.id, version, job.id, survey.rows, written or 0, job.chunks,
        reading.size, seconds, (written or 0) / seconds, shown or "", survey.watermark,
    )  # fmt: skip


def _plan_reading(source: Source, origin: Address, model: BatchModel, options: Options) -> Reading:
    for option, name in (("--key", options.key), ("--since", options.since)):
        if name is not None and name not in source.names:
            raise InputError(f"{origin}: no column {name} ({option}); it has {list_names(source.names)}")
    inputs = map_columns(model.contract.inputs, source.names, origin)
    return Reading(inputs, options.key, options.batch or model.default_rows, options.since or "")


def _find_key_type(source: Source, reading: Reading) -> bool:
    """Whether keys are texts, by the first rows. Without any it does not matter."""
    first = next(source.read((reading.key,), reading.size), None)
    return first is not None and bool(pa.types.is_string(read_keys(first, reading.key, 1).type))


def _read_since(sink: Sink, reading: Reading, version: str, source: str) -> Reading:
    """From the greatest watermark on: a row that has the same value may have come after it was read."""
    values = [watermark_value(text) for text in sink.find_watermarks(version, source, reading.since)]
    return replace(reading, least=max(values, key=lambda value: value.as_py(), default=None))


def _describe_job(model: BatchModel, version: str, origin: Address, reading: Reading, survey: Survey) -> Job:
    content = {
        "version": version,
        "artifact": digest.of_path(model.artifact.path),
        "rows": reading.size,
        "chunks": list(survey.digests),
    }
    return Job(
        digest.of_json(content), version, model.bundle, model.entry.id, str(origin), survey.rows, len(survey.digests),
        survey.key_is_text, survey.least_key, survey.greatest_key, reading.since, survey.watermark,
    )  # fmt: skip


def _run_job(
    job: Job,
    source: Source,
    reading: Reading,
    survey: Survey,
    sink: Sink,
    model: BatchModel,
    outputs: tuple[OutputColumns, ...],
    current: Current | None,
) -> tuple[int, str]:
    """Write the chunks that are not in, and end the job; rows that were written, and the version that the view shows."""
    written, present = 0, sink.begin(job)
    if len(present) < job.chunks:
        tensors = {item.input: item.tensor for item in model.entry.inputs}
        scoring = Scoring(reading.inputs, outputs, tensors, reading.key, model.runtime)
        chunks = _missing_chunks(source, reading, survey, present)
        workers = min(count_cores(), job.chunks - len(present))
        with (
            LocalEngine(scoring, model.artifact.path, workers) as engine,
            RowsProgress("predicted", survey.rows) as progress,
        ):
            written = _write_chunks(engine, chunks, sink, job, progress)
    return written, sink.finish(job, current or Current(version=job.version))


def _missing_chunks(source: Source, reading: Reading, survey: Survey, present: frozenset[int]) -> Iterator[Chunk]:
    first = 1
    for number, rows in enumerate(reading.chunks(source)):
        if number >= len(survey.digests):
            raise InputError("the source was changed while it was read; run the command again")
        if number not in present:
            yield Chunk(number, first, rows, survey.digests[number])
        first += rows.num_rows
    if first - 1 != survey.rows:
        raise InputError("the source was changed while it was read; run the command again")


def _write_chunks(engine: Engine, chunks: Iterator[Chunk], sink: Sink, job: Job, progress: RowsProgress) -> int:
    written = seen = 0
    for chunk, rows in score_chunks(engine, chunks):
        written += rows.num_rows if sink.write(job, chunk.number, rows) else 0
        seen += rows.num_rows
        progress.tell(seen)
    return written
