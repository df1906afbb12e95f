"""One retraining, from the question whether it is time to a challenger in the registry.

Each step is kept by what it was made from: whoever is killed and called again goes on where it was, and a second call with the
same data answers what the first one did.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import filelock

from edgeship.bundle.bundle import Bundle, open_bundle
from edgeship.data import save
from edgeship.errors import InputError
from edgeship.formats.formats import FORMATS
from edgeship.learning.retraining.card import write_card
from edgeship.learning.retraining.champion import Champion, find_champion, open_champion
from edgeship.learning.retraining.compare import Finding, compare_on, judge_gain, judge_not_worse
from edgeship.learning.retraining.decide import decide
from edgeship.learning.retraining.gather import LABELS, GatheredData, LabelledSamples, gather_data, write_training_data
from edgeship.learning.retraining.page import write_retraining_page
from edgeship.learning.retraining.record import AuditGain, Retraining, read_retrainings, write_retraining
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.learning.retraining.results import Decision, RetrainOutcome, RetrainResult
from edgeship.learning.retraining.train import train_challenger
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.adding import add_bundle
from edgeship.model_registry.promotion import compare_with_champion, promote_version
from edgeship.model_registry.store import Store, open_store
from edgeship.model_registry.version import TRAINING, DataUse, Version
from edgeship.pipeline.ship import ship_model
from edgeship.storage import digest
from edgeship.types import Verdict

BUNDLE = "bundle"
PAGE = "retraining.html"


def retrain(request: RetrainRequest) -> RetrainResult:
    """Decide, gather, train, ship, compare, register; and point staging to the challenger where that is asked for.

    Raises InputError for what cannot be used: then nothing was registered, and no alias moved.
    """
    with open_store(request.store) as store:
        name = store.resolve_name(request.name)
        version = find_champion(store, name)
        records = read_retrainings(store, name)
        added = datetime.fromisoformat(version.record.added)
        decision = decide(request, store.manifest(version), records, added)
        nothing = RetrainResult("nothing to do", name, version.number, decision)
        if not decision.train and not request.dry_run:
            return nothing
        if request.dry_run:
            return _plan_only(store, request, nothing, records, version)
        request.out.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(request.out / ".lock"):
            return _Retraining(store, request, decision, records, version).run()


def _plan_only(
    store: Store, request: RetrainRequest, nothing: RetrainResult, records: Mapping[int, Retraining], version: Version
) -> RetrainResult:
    """What would be done; nothing is written but to a folder that goes."""
    if not nothing.decision.train:
        return nothing
    if request.labels is None or request.audit is None:
        return replace(nothing, outcome="would train")  # once there are some
    with tempfile.TemporaryDirectory(prefix="edgeship-retrain-") as folder:
        champion = open_champion(store, version, replace(request, out=Path(folder)))
        plan = gather_data(request, champion, records, store).plan
    return replace(nothing, outcome="would train", plan=plan)


@dataclass(frozen=True)
class _Comparison:
    """What was found of a challenger: findings in each respect, and the gain on the newest audit."""

    findings: tuple[Finding, ...]
    gain: AuditGain

    @property
    def is_better(self) -> bool:
        return all(item.holds for item in self.findings)


@dataclass(frozen=True)
class _Retraining:
    store: Store
    request: RetrainRequest
    decision: Decision
    records: Mapping[int, Retraining]
    version: Version

    def run(self) -> RetrainResult:
        """From the champion to a challenger's record."""
        champion = open_champion(self.store, self.version, self.request)
        data = gather_data(self.request, champion, self.records, self.store)
        key = self._key(champion, data)
        folder = self.request.out / key[:16]
        found = next((number for number, record in self.records.items() if record.key == key), None)
        if found is not None:
            return self._finish(
                self.store.version(self.version.name, str(found)), self.records[found], data, folder, False
            )
        folder.mkdir(exist_ok=True)
        model = train_challenger(champion, self.request, write_training_data(data, champion, folder), folder)
        bundle = ship_challenger(champion, model, folder)
        uses = self._count_evaluations(champion, bundle)
        pool, audit = (item.name if item else "" for item in (self.request.labels, self.request.audit))
        kept = keep_samples(self.store, data.pool, pool), keep_samples(self.store, data.audit, audit)
        write_card(self.store, champion, self.request, data, kept, model, uses)
        challenger = add_bundle(self.store, bundle, self.version.name).version
        record, refusal = self._evaluate(champion, data, bundle, challenger, (key, uses, kept))
        with self.store.writing():
            write_retraining(self.store, challenger, record, refusal)
        return self._finish(challenger, record, data, folder, True)

    def _key(self, champion: Champion, data: GatheredData) -> str:
        """The digest of all that decides what the challenger is, and what it is judged by."""
        request = self.request
        return digest.of_json(
            {
                "champion": champion.version.record.bundle,
                "labels": data.pool.content,
                "former": [use.digest for use, _ in data.old_pools],
                "audit": data.audit.content,
                "training": champion.training.digest if champion.training else None,
                "replay": data.plan.replay,
                "recipe": [request.recipe, request.epochs, request.learning_rate, request.seed],
                "config": digest.of_path(request.config) if request.config else None,
            }
        )

    def _count_evaluations(self, champion: Champion, bundle: Bundle) -> int:
        """How many versions, of any name, the evaluation data has judged, the challenger included."""
        own = digest.of_path(bundle.root / "manifest.json")
        rows = [row for name in self.store.names() for row in self.store.versions(name) if row.record.bundle != own]
        wanted = champion.evaluation.digest
        return 1 + sum(row.record.evaluation is not None and row.record.evaluation.digest == wanted for row in rows)

    def _evaluate(
        self, champion: Champion, data: GatheredData, bundle: Bundle, challenger: Version,
        known: tuple[str, int, tuple[DataUse, DataUse]],
    ) -> tuple[Retraining, str]:  # fmt: skip
        """Compare, and put down what was found, and why it is refused.

        `known`: the key, uses of the evaluation data, labels and audit as kept.
        """
        pool, audit = known[2]
        judged = {
            number for number, record in self.records.items() if record.audits and number != challenger.number
            and (record.audits[0].digest == audit.digest or _shares(self.store, record.audits[0], data.audit))
        }  # fmt: skip
        uses = 1 + len(judged)
        comparison = self._compare(champion, data, bundle, challenger, uses)
        training = self.version.record.data.get(TRAINING)
        if training is None and champion.training is not None:
            training = DataUse(champion.training.digest, champion.training.path.name, len(champion.training))
        lineage = self.records.get(self.version.number)
        refusal = "; ".join(item.reason for item in comparison.findings if not item.holds)[:1000]
        record = Retraining(
            key=known[0],
            champion=self.version.number,
            verdict="better" if comparison.is_better else "refused",
            why=self.decision.reasons,
            reasons=tuple(item.reason[:500] for item in comparison.findings),
            when=self.request.now.isoformat(timespec="seconds"),
            seed=self.request.seed,
            recipe=self.request.recipe,
            server=bundle.manifest.server.digest,
            pools=(pool, *(lineage.pools if lineage else ())),
            audits=(audit,),
            replay=data.plan.replay,
            evaluation_uses=known[1],
            audit_uses=uses,
            gain=comparison.gain,
            training=training,
        )
        return record, refusal

    def _compare(
        self, champion: Champion, data: GatheredData, bundle: Bundle, challenger: Version, uses: int
    ) -> _Comparison:
        """The gate's own verdict, the old evaluation data, earlier audits, and the newest one."""
        findings = []
        verdict = challenger.record.verdict or "not judged"
        if verdict != Verdict.PASS:
            findings.append(Finding(False, f"its own gate says {verdict}"))
        old = compare_with_champion(self.store, self.version, challenger, "not-worse")
        findings += [Finding(item.holds, f"old evaluation data, {item.reason}") for item in old]
        for number, (use, samples) in enumerate(data.old_audits, 1):
            _, figure = compare_on(champion.bundle, bundle, samples)
            what = f"earlier audit {number} of {len(data.old_audits)} ({use.digest[:8]})"
            findings.append(judge_not_worse(what, figure, champion.manifest, bundle.manifest))
        gain, _ = compare_on(champion.bundle, bundle, data.audit, uses)
        return _Comparison((*findings, judge_gain(gain, uses)), gain)

    def _finish(
        self, challenger: Version, record: Retraining, data: GatheredData, folder: Path, is_new: bool
    ) -> RetrainResult:
        """The result, with its page where it was made here; staging points to a better one where that is asked for."""
        promoted = False
        if self.request.promote and record.verdict == "better":
            promoted = self._promote(challenger)
        outcome: RetrainOutcome = record.verdict
        page = folder / PAGE if folder.is_dir() else None
        result = RetrainResult(
            outcome, self.version.name, self.version.number, self.decision, data.plan, challenger.number, is_new, promoted,
            record, folder if page else None, page,
        )  # fmt: skip
        if page:
            write_retraining_page(result, page)
        return result

    def _promote(self, challenger: Version) -> bool:
        if self.store.aliases(self.version.name).get("staging") != challenger.number:
            why = f"retrained from version {self.version.number}: {'; '.join(self.decision.reasons)}"
            promote_version(self.store, challenger, "staging", why[:1000])
        return True


def keep_samples(store: Store, samples: LabelledSamples, source: str) -> DataUse:
    """Keep labelled samples with the registry's files, by the sha256 of what they are as an `.npz`."""
    with tempfile.TemporaryDirectory(prefix="edgeship-labels-") as folder:
        file = Path(folder) / "labelled.npz"
        save(file, {**samples.inputs, LABELS: samples.labels})
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        with store.writing():
            store.files.store(file, content)
    return DataUse(content, source, len(samples))


def _shares(store: Store, use: DataUse, audit: LabelledSamples) -> bool:
    """Whether an earlier audit has asked one of these samples, too."""
    from edgeship.data import load
    from edgeship.learning.samples.sample_digests import digest_samples

    arrays = load(store.files.find(use.digest))
    arrays.pop(LABELS)
    return not {*audit.digests}.isdisjoint(digest_samples(arrays))


def ship_challenger(champion: Champion, model: Path, folder: Path) -> Bundle:
    """The challenger's bundle, made and judged as the champion's; the one that is there where it is of the same model."""
    place = folder / BUNDLE
    if place.is_dir():
        try:
            bundle = open_bundle(place)
            if bundle.manifest.server.digest == digest.of_path(model) and bundle.manifest.gate:
                return bundle
        except (InputError, OSError):
            pass  # it was changed since
    settings = champion.settings
    settings = replace(settings, data=replace(settings.data, train=str(folder / "train.npz"), validation=None))
    made = {item.format for item in champion.manifest.artifacts}
    ship_model(model, place, settings, tuple(item for item in FORMATS if item in made))
    return open_bundle(place)
