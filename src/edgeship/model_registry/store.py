"""The registry's versions, aliases and promotions in MLflow's model registry.

A version is a registered model's version with its record as tags, written in one transaction; its run holds the figures as
metrics, for MLflow's own page, and the data as inputs. A change of an alias is recorded as a tag of the model before it is made.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.bundle.metric import Digest
from edgeship.errors import InputError, unknown_name_error
from edgeship.model_registry import connection
from edgeship.model_registry.connection import Place, in_our_words, open_client
from edgeship.model_registry.files import Files, FolderFiles, ServerFiles
from edgeship.model_registry.version import Promotion, Version, VersionRecord
from edgeship.typed_json import convert
from edgeship.types import to_json
from edgeship.untrusted import damage_as_input_error, printable, read_json

if TYPE_CHECKING:
    from edgeship.bundle.manifest import Manifest

SCHEMA = "1"
MARK = "edgeship.registry"  # the tag of a model that edgeship keeps, with the schema
RECORD = "edgeship.record."  # tags of a version: its record as JSON, in parts
PROMOTION = "edgeship.promotion."
SIGNED = "edgeship.signature"  # the tag of a version: the digest of its bundle's signature
PART = 90_000  # characters of a tag; MLflow takes 100,000
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
BATCH = 900  # metrics in one call; MLflow takes 1,000
FILES = "edgeship-files"  # the experiment and run of a server that hold all files
ALIASES = ("champion", "staging")


class Store:
    """An opened registry. Use `open_store`."""

    def __init__(self, place: Place, client: Any, scratch: Path) -> None:
        self.place, self.client, self.scratch = place, client, scratch
        self._files: Files | None = None

    @property
    def files(self) -> Files:
        """Where bundles' files are."""
        if self._files is None:
            file = self.place.file
            if file is not None:
                self._files = FolderFiles(file.with_name(f"{file.stem}-files"))
            else:
                self._files = ServerFiles(self.client, self._files_run(), self.scratch)
        return self._files

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else writes meanwhile (on a server: nothing stops others)."""
        with connection.lock(self.place), in_our_words(self.place):
            yield

    def names(self) -> list[str]:
        """The names under which versions are kept. Raises InputError where a later edgeship wrote them."""
        found, token = [], None
        while True:
            page = self.client.search_registered_models(max_results=1000, page_token=token)
            for model in page:
                if MARK in model.tags:
                    self._check_schema(model.tags)
                    found.append(str(model.name))
            token = page.token
            if not token:
                return sorted(found)

    def resolve_name(self, name: str | None) -> str:
        """The name itself, or the only one there is. Raises InputError that lists the known ones."""
        known = self.names()
        if name is None:
            if len(known) == 1:
                return known[0]
            raise InputError(f"{self.place}: --name must say which: {', '.join(known) or 'none is there yet'}")
        if name not in known:
            raise unknown_name_error("name", printable(name), known or ["none yet"], str(self.place))
        return name

    def versions(self, name: str) -> list[Version]:
        """All versions of a name, the newest last."""
        aliases = self.aliases(name)
        found, token = [], None
        while True:
            page = self.client.search_model_versions(f"name = '{name}'", max_results=10_000, page_token=token)
            found += [item for item in page if f"{RECORD}0" in item.tags]
            token = page.token
            if not token:
                break
        # Numbers are texts where a server told them.
        rows = [
            Version(name, int(item.version), self._read_record(item.tags), signature=self._read_signature(item.tags))
            for item in found
        ]
        pointing = {
            number: tuple(sorted(key for key, at in aliases.items() if at == number)) for number in aliases.values()
        }
        rows = [replace(row, aliases=pointing.get(row.number, ())) for row in rows]
        return sorted(rows, key=lambda row: row.number)

    def version(self, name: str, which: str) -> Version:
        """A version by its number or by an alias. Raises InputError that lists the known ones."""
        rows = self.versions(name)
        number = self.aliases(name).get(which, which)
        row = next((row for row in rows if str(row.number) == str(number)), None)
        if row is None:
            numbers = [row.number for row in rows]
            known = [f"1 to {numbers[-1]}" if len(numbers) > 1 else str(*numbers)] if numbers else ["none yet"]
            raise unknown_name_error(f"version of {name}", printable(which), [*known, *self.aliases(name)])
        return row

    def aliases(self, name: str) -> dict[str, int]:
        """The versions that aliases point to."""
        return {key: int(at) for key, at in self.client.get_registered_model(name).aliases.items()}

    def manifest(self, version: Version) -> Manifest:
        """The manifest of a version's bundle. Raises InputError where it is missing or damaged."""
        from edgeship.bundle.manifest import parse_manifest

        content = read_json(self.files.find(version.record.bundle))
        content.pop("digest", None)
        return parse_manifest(content)

    def add_version(self, name: str, record: VersionRecord, signature: str | None = None) -> int:
        """A new version with its run; inside of `writing`. What was written of it before the last step counts nowhere."""
        self._make_model(name)
        experiment = self._experiment(f"edgeship/{name}")
        self._drop_unfinished(experiment)
        info = self.client.create_run(experiment, run_name=f"{name} {record.bundle[:12]}").info
        self._log_run(info.run_id, record)
        text = json.dumps(to_json(record))
        parts = [text[start : start + PART] for start in range(0, len(text), PART)]
        tags = {f"{RECORD}{number}": part for number, part in enumerate(parts)}
        tags |= {"edgeship.verdict": record.verdict or "not judged", "edgeship.bundle": record.bundle}
        tags |= {SIGNED: signature} if signature else {}
        made = self.client.create_model_version(name, info.artifact_uri, info.run_id, tags=tags)
        self.client.set_terminated(info.run_id)
        return int(made.version)

    def sign_version(self, version: Version, signature: str) -> Version:
        """Remember the digest of the signature of a version's bundle; inside of `writing`."""
        self.client.set_model_version_tag(version.name, str(version.number), SIGNED, signature)
        return replace(version, signature=signature)

    def write_tag(self, version: Version, key: str, text: str) -> None:
        """Keep a text with a version under a key of another room; inside of `writing`. Raises InputError for one too long."""
        if len(text) > PART:
            raise InputError(
                f"{self.place}: what is to be kept with version {version.number} is {len(text):,} characters"
            )
        self.client.set_model_version_tag(version.name, str(version.number), key, text)

    def read_tags(self, name: str, key: str) -> dict[int, str]:
        """The texts under that key, by the number of the version of a name; of versions without one there is none."""
        found: dict[int, str] = {}
        token = None
        while True:
            page = self.client.search_model_versions(f"name = '{name}'", max_results=10_000, page_token=token)
            found |= {int(item.version): str(item.tags[key]) for item in page if key in item.tags}
            token = page.token
            if not token:
                return found

    def promotions(self, name: str) -> list[Promotion]:
        """The changes of aliases that took place, the oldest first.

        A change is recorded before it is made: one that was interrupted between the two is followed by none that begins where it
        ended, nor does its alias point there.
        """
        aliases, tags = self.aliases(name), self.client.get_registered_model(name).tags
        texts = [text for key, text in sorted(tags.items()) if key.startswith(PROMOTION)]
        with self._reading():
            entries = [convert(Promotion, json.loads(text)) for text in texts]
        return [entry for entry in entries if _took_place(entry, entries, aliases)]

    def record_promotion(self, name: str, promotion: Promotion) -> Promotion:
        """Point an alias to a version, and remember it; inside of `writing`."""
        tags = self.client.get_registered_model(name).tags
        with self._reading():
            entry = 1 + max((int(key.removeprefix(PROMOTION)) for key in tags if key.startswith(PROMOTION)), default=0)
        promotion = replace(promotion, entry=entry)
        self.client.set_registered_model_tag(name, f"{PROMOTION}{entry:06}", json.dumps(to_json(promotion)))
        self.client.set_registered_model_alias(name, promotion.alias, str(promotion.version))
        return promotion

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with damage_as_input_error(self.place):
            try:
                yield
            except InputError as error:
                raise InputError(f"{self.place}: a tag was changed or is damaged: {error}") from error

    def _read_record(self, tags: Mapping[str, str]) -> VersionRecord:
        count = sum(key.startswith(RECORD) for key in tags)
        with self._reading():  # whoever can write to the store can write anything there
            return convert(VersionRecord, json.loads("".join(tags[f"{RECORD}{number}"] for number in range(count))))

    def _read_signature(self, tags: Mapping[str, str]) -> str | None:
        with self._reading():
            return convert(Digest, tags[SIGNED]) if SIGNED in tags else None

    def _check_schema(self, tags: Mapping[str, str]) -> None:
        if tags[MARK] != SCHEMA:
            found = printable(tags[MARK])[:20]
            raise InputError(f"{self.place}: a registry of schema {found}, this edgeship reads {SCHEMA}")

    def _make_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self.client.create_registered_model(name, tags={MARK: SCHEMA})
            return
        if MARK not in model.tags:
            raise InputError(f"{self.place}: {name} is there, and is no model of edgeship's; choose another --name")
        self._check_schema(model.tags)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        file = self.place.file  # artifacts of runs need an absolute place; none are kept there
        location = file.with_name(f"{file.stem}-files").as_uri() if file is not None else None
        return str(self.client.create_experiment(name, artifact_location=location))

    def _files_run(self) -> str:
        experiment = self._experiment(FILES)
        runs = self.client.search_runs([experiment], order_by=["attributes.start_time ASC"], max_results=1)
        return str((runs[0] if runs else self.client.create_run(experiment, run_name=FILES)).info.run_id)

    def _drop_unfinished(self, experiment: str) -> None:
        """Drop runs whose adding was interrupted; on a server they may be somebody else's who adds just now."""
        if self.place.file is None:
            return
        for run in self.client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            self.client.delete_run(run.info.run_id)

    def _log_run(self, run: str, record: VersionRecord) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        metrics = [Metric(name[:250], float(value), 0, 0) for name, value in record.figures.items()]
        params = [Param(name[:250], value[:6000]) for name, value in record.texts.items()]
        for start in range(0, max(len(metrics), 1), BATCH):
            self.client.log_batch(run, metrics[start : start + BATCH], params[:100] if not start else [])
        inputs = [
            DatasetInput(
                Dataset(
                    name=data.source[:500] or role, digest=data.digest[:36], source_type="edgeship", source=data.digest
                ),
                [InputTag("mlflow.data.context", role)],
            )
            for role, data in record.data.items()
        ]
        if inputs:
            self.client.log_inputs(run, inputs)


def check_name(name: str) -> None:
    """Raise InputError for what versions cannot be kept under."""
    if not NAME.fullmatch(name):
        shown = printable(name)[:60] or "''"
        raise InputError(f"--name {shown}: must be letters, digits, '.', '_' and '-', at most 100, not . first")


def _took_place(entry: Promotion, entries: list[Promotion], aliases: Mapping[str, int]) -> bool:
    later = next((item for item in entries if item.alias == entry.alias and item.entry > entry.entry), None)
    return (later.previous if later else aliases.get(entry.alias)) == entry.version


@contextlib.contextmanager
def open_store(store: str, *, create: bool = False) -> Iterator[Store]:
    """The registry that `--store` names. Raises InputError where it cannot be used, and MissingDependencyError."""
    place = Place.parse(store)
    client = open_client(place, create=create)
    with tempfile.TemporaryDirectory(prefix="edgeship-registry-") as scratch, in_our_words(place):
        yield Store(place, client, Path(scratch))
