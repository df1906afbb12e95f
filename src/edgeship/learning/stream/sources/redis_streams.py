"""Redis Streams: requests come in, answers go out, labels follow by key.

For a model NAME there are three streams, `NAME:requests`, `NAME:answers` and `NAME:labels`, and the hash `NAME:answered`, which
knows the answer of each key. Requests and labels are read by the consumer group `edgeship`: an entry is delivered at least once,
and what a dead consumer had taken is claimed by another. The effect is that of once: an answer is written where its key has none,
in one step with the acknowledgement, and a label is acknowledged after the state has it, which takes each key once.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any

import numpy as np
import pyarrow as pa
import redis

from edgeship.deploy.contract.inputs import ContractInput
from edgeship.errors import InputError, brief_message
from edgeship.learning.stream.sources.source import Answer, Answering, ColumnChooser, FetchedRows, Position
from edgeship.light_dataclass import dataclass
from edgeship.storage.adbc import hide_password
from edgeship.untrusted import printable

GROUP = "edgeship"
AT_ONCE = 64
PATIENCE = 86_400  # seconds that a label waits for its request
# An answer where the key has none, and the acknowledgement, in one step. A repeated request gets no second answer.
ANSWER = """
if redis.call('hsetnx', KEYS[1], ARGV[1], ARGV[2]) == 1 then redis.call('xadd', KEYS[2], '*', unpack(ARGV, 5)) end
return redis.call('xack', KEYS[3], ARGV[3], ARGV[4])
"""
Fields = Mapping[bytes, bytes]


@dataclass(frozen=True)
class QueueNames:
    """The keys of a model in Redis."""

    requests: str
    labels: str
    answers: str
    answered: str


@dataclass(frozen=True)
class _Entry:
    """An entry of a stream; without `fields` it was trimmed since it was delivered."""

    id: str
    fields: Fields | None


class _Group:
    """The entries of a stream that this consumer sees to: first its own of an earlier run, then those of the dead, then new."""

    def __init__(self, client: Any, stream: str, consumer: str, claim_after: float) -> None:
        self.client, self.stream, self.consumer = client, stream, consumer
        self.claim_after = int(1000 * claim_after)
        self.newest = "0"
        self._pending: str | None = "0"  # until which own entries of an earlier run were read
        with contextlib.suppress(redis.ResponseError):  # the group is there
            client.xgroup_create(stream, GROUP, id="0", mkstream=True)

    def take(self, count: int) -> list[_Entry]:
        """At most so many entries."""
        if self._pending is not None:
            found = self._read(self._pending, count)
            self._pending = found[-1].id if found else None
            if found:
                return found
        claimed = self.client.xautoclaim(self.stream, GROUP, self.consumer, self.claim_after, "0-0", count)
        if entries := [_Entry(place.decode(), fields) for place, fields in claimed[1]]:
            return entries
        found = self._read(">", count)
        if found:
            self.newest = found[-1].id
        return found

    def _read(self, start: str, count: int) -> list[_Entry]:
        answer = self.client.xreadgroup(GROUP, self.consumer, {self.stream: start}, count=count)
        return [_Entry(place.decode(), fields or None) for place, fields in answer[0][1]] if answer else []

    def acknowledge(self, entries: Sequence[_Entry]) -> None:
        """They need not be delivered again."""
        if entries:
            self.client.xack(self.stream, GROUP, *[entry.id for entry in entries])


class RedisStreams:
    """The streams of a model. `name`: what their names begin with; `consumer`: who reads, the same after a crash."""

    kept = False

    def __init__(
        self, address: str, name: str, inputs: Sequence[ContractInput], columns: ColumnChooser, key: str, label: str,
        consumer: str, claim_after: float,
    ) -> None:  # fmt: skip
        self.text, self.inputs, self.key, self.label = hide_password(address), tuple(inputs), key, label
        names = [name for item in inputs for name in _name_columns(item)]
        self.columns = tuple(columns([key, label, *names]))
        self.names = QueueNames(f"{name}:requests", f"{name}:labels", f"{name}:answers", f"{name}:answered")
        with self._in_our_words():
            # Two forms of answers are known; that of version 2 of the protocol is the same in all releases of the client.
            self._client = redis.Redis.from_url(address, protocol=2)
            self._client.ping()
            self._answer = self._client.register_script(ANSWER)
            self._requests = _Group(self._client, self.names.requests, consumer, claim_after)
            self._labels = _Group(self._client, self.names.labels, consumer, claim_after)
        self._waiting: list[_Entry] = []  # labels that were delivered and not taken yet

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, ValueError) as error:
            raise InputError(
                f"{self.text}: Redis does not answer as it should ({printable(brief_message(error, 200))})"
            ) from error

    def serve(self, answering: Answering) -> int:
        """See `StreamSource`."""
        count = 0
        with self._in_our_words():
            while entries := self._requests.take(AT_ONCE):
                self._requests.acknowledge([entry for entry in entries if entry.fields is None])
                here = [(entry, entry.fields) for entry in entries if entry.fields is not None]
                for _, group in groupby(here, lambda item: _find_form(item[1])):
                    same = list(group)
                    rows, faults = self._make_rows([(fields, None) for _, fields in same])
                    places = [f"{self.names.requests} {entry.id}" for entry, _ in same]
                    for (entry, _), answer in zip(same, answering(rows, places, faults), strict=True):
                        self._write_answer(entry, answer)
                    count += len(same)
        return count

    def _write_answer(self, entry: _Entry, answer: Answer) -> None:
        if not answer.key:  # nobody could be told
            self._requests.acknowledge([entry])
            return
        if answer.fault:
            known = {"request": entry.id, "fault": answer.fault}
            fields = ["key", answer.key, "error", answer.fault]
        else:
            known = {"request": entry.id, "class": str(answer.number), "version": str(answer.version)}
            fields = [
                "key",
                answer.key,
                "answer",
                answer.name,
                "class",
                str(answer.number),
                "version",
                str(answer.version),
            ]
        self._answer(
            keys=[self.names.answered, self.names.answers, self.names.requests],
            args=[answer.key, json.dumps(known), GROUP, entry.id, *fields],
        )

    def fetch(self, position: Position, count: int) -> FetchedRows | None:
        """Labels whose requests were answered, with the rows of these. See `StreamSource`."""
        with self._in_our_words():
            if not self._fetchable():
                known = {entry.id for entry in self._waiting}  # what waits long is claimed again, from itself
                self._waiting += [entry for entry in self._labels.take(AT_ONCE) if entry.id not in known]
            chosen = self._fetchable()[:count]
            if not chosen:
                return None
            found = [self._find_request(entry) for entry in chosen]
            form = _find_form(found[0][0])
            found = list(takewhile(lambda item: _find_form(item[0]) == form, found))
            chosen = chosen[: len(found)]
        rows, faults = self._make_rows([(fields, _text(entry.fields, "label")) for entry, (fields, _, _) in zip(chosen, found, strict=True)])  # fmt: skip  # noqa: E501
        faults = [known or fault for fault, (_, _, known) in zip(faults, found, strict=True)]
        places = [f"{self.names.labels} {entry.id}" for entry in chosen]
        self._chosen = chosen
        return FetchedRows(rows, places, faults, lambda done: None, [answer for _, answer, _ in found])

    def _fetchable(self) -> list[_Entry]:
        """Labels that were delivered and can be taken; others wait until their request is answered, for a day."""
        if not self._waiting:
            return []
        keys = [_text(entry.fields, "key") for entry in self._waiting]
        known = self._client.hmget(self.names.answered, keys)
        return [
            entry
            for entry, key, content in zip(self._waiting, keys, known, strict=True)
            if content is not None or not key or _age_of(entry.id) > PATIENCE
        ]

    def _find_request(self, entry: _Entry) -> tuple[Fields, tuple[int, int], str]:
        """The request that a label belongs to, the class and version that answered it, or why there is none."""
        key = _text(entry.fields, "key")
        empty: Fields = {b"key": key.encode()}
        content = self._client.hget(self.names.answered, key) if key else None
        if content is None:
            return empty, (-1, 0), f"no request with this key came in {PATIENCE // 3600} hours" if key else "has no key"
        try:
            known = json.loads(content)
            if fault := known.get("fault"):
                return empty, (-1, 0), f"its request could not be read: {fault}"
            answer = int(known["class"]), int(known["version"])
            place = str(known["request"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return empty, (-1, 0), f"{self.names.answered} does not hold what edgeship wrote"
        found: Any = self._client.xrange(self.names.requests, place, place)
        if not found:
            return empty, answer, "its request is no longer in the stream: keep requests until their labels are there"
        return found[0][1], answer, ""

    def settle(self, rows: FetchedRows, count: int) -> None:
        """See `StreamSource`."""
        done = self._chosen[:count]
        with self._in_our_words():
            self._labels.acknowledge(done)
        ids = {entry.id for entry in done}
        self._waiting = [entry for entry in self._waiting if entry.id not in ids]

    def count_answers(self) -> int:
        """See `StreamSource`."""
        with self._in_our_words():
            return int(self._client.hlen(self.names.answered))

    def wait(self, seconds: float) -> None:
        """See `StreamSource`."""
        with self._in_our_words():
            newest: dict[Any, Any] = {group.stream: group.newest for group in (self._requests, self._labels)}
            self._client.xread(newest, count=1, block=max(1, int(1000 * seconds)))

    def close(self) -> None:
        """See `StreamSource`."""
        self._client.close()

    def _make_rows(self, entries: Sequence[tuple[Fields, str | None]]) -> tuple[Any, list[str]]:
        """Entries with their labels as a record batch, and why some cannot be read."""
        kinds = {name: item for item in self.inputs for name in _name_columns(item)}
        values: dict[str, list[Any]] = {name: [] for name in self.columns}
        faults = []
        for fields, label in entries:
            row, fault = _read_row(fields)
            for name in self.columns:
                if name == self.key:
                    values[name].append(_text(fields, "key") or None)
                elif name == self.label:
                    values[name].append(label)
                else:
                    value, wrong = (None, "") if fault else _read_value(kinds[name], name, row.get(name))
                    values[name].append(value)
                    fault = fault or wrong
            faults.append(fault)
        arrays = [_make_array(kinds.get(name), column) for name, column in values.items()]
        return pa.RecordBatch.from_arrays(arrays, names=list(values)), faults


def _name_columns(item: ContractInput) -> list[str]:
    if item.kind == "text":
        return [item.raw.column or item.name]
    return [column.name for column in item.raw.columns] if item.kind == "table" else [item.name]


def _text(fields: Fields | None, name: str) -> str:
    return (fields or {}).get(name.encode(), b"").decode(errors="replace")


def _age_of(entry: str) -> float:
    """Seconds since an entry was added, as its id tells."""
    return time.time() - int(entry.partition("-")[0]) / 1000


def _read_row(fields: Fields) -> tuple[dict[str, Any], str]:
    """The columns of a request: those of the JSON object in `row`, and further fields as bytes, as pictures are."""
    row: dict[str, Any] = {
        name.decode(errors="replace"): value for name, value in fields.items() if name not in (b"key", b"row")
    }
    if b"row" not in fields:
        return row, ""
    try:
        content = json.loads(fields[b"row"])
    except (ValueError, RecursionError):
        return {}, "its row is no JSON"
    if not isinstance(content, dict):
        return {}, "its row is no JSON object"
    return {**content, **row}, ""


def _read_value(item: ContractInput, name: str, value: Any) -> tuple[Any, str]:
    """A value as `FetchedRows` has it: texts of a table, bytes of a picture, flat lists of numbers; and what is wrong with it."""
    shown = printable(name)
    if item.kind in ("table", "text"):
        if isinstance(value, (list, dict)):
            return None, f"column {shown}: is neither a number nor a text"
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        return None if text is None else str(text), ""
    if value is None or isinstance(value, bytes):
        return value, f"has no {shown}" if value is None else ""
    try:
        return np.asarray(value, np.float64).reshape(-1), ""
    except (ValueError, TypeError):
        return None, f"column {shown}: is no list of numbers"


def _make_array(item: ContractInput | None, values: Sequence[Any]) -> Any:
    """A column; the files of pictures are bytes."""
    if item is None or item.kind in ("table", "text"):
        return pa.array(values, pa.string())
    is_file = any(isinstance(value, bytes) for value in values)
    return pa.array(values, pa.binary() if is_file else pa.list_(pa.float64()))


def _find_form(fields: Fields) -> frozenset[bytes]:
    """What an entry holds beside a row of JSON: the same of all that become a record batch."""
    return frozenset(fields) - {b"key", b"row"}
