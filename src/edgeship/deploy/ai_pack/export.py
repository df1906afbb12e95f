"""An AI pack of one `.tflite` (https://developer.android.com/google/play/on-device-ai): whole or not at all.

The pack is for every device: none of its models is compiled for a processor. It was not tried on a store.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.errors import InputError, unknown_name_error
from edgeship.storage import atomic
from edgeship.untrusted import printable, tree_files

PREFERRED = "tflite/mobile"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # of a module that Gradle takes as it is
BUILD, ASSETS = "build.gradle.kts", "src/main/assets/model"
FILES = (BUILD, *(f"{ASSETS}/{name}" for name in ("model.tflite", CONTRACT, "labels.txt")))
GRADLE = """plugins {
    id("com.android.ai-pack")
}

aiPack {
    packName.set("%s")
    dynamicDelivery {
        deliveryType.set("install-time")
    }
}
"""


def export_ai_pack(bundle: Bundle, out: Path, artifact: str | None = None) -> None:
    """Write the folder `out`, whose name is the pack's: Gradle file, model, contract and labels as far as there are any.

    `artifact`: an id (default: `tflite/mobile`, else a recommended `.tflite`, else the first). Raises InputError for a bundle
    without `.tflite`, an unknown artifact, a name that is none for a pack, a folder that holds anything else, and a place that
    cannot be written to.
    """
    name, chosen = out.absolute().name, _choose_artifact(bundle, artifact)
    if not NAME.fullmatch(name):
        raise InputError(
            f"{printable(out)}: the folder's name is the pack's, a letter and then letters, digits and '_'; as --out model_pack"
        )
    _check_replaceable(out)
    labels = bundle.manifest.labels or ()
    try:
        with atomic.atomic_folder(out) as draft:
            (draft / ASSETS).mkdir(parents=True)
            (draft / BUILD).write_text(GRADLE % name, encoding="utf-8", newline="\n")
            shutil.copyfile(bundle.root / chosen.path, draft / ASSETS / "model.tflite")
            if CONTRACT in bundle.manifest.files:
                shutil.copyfile(bundle.root / CONTRACT, draft / ASSETS / CONTRACT)
            if labels:
                lines = "".join(f"{printable(label)}\n" for label in labels)
                (draft / ASSETS / "labels.txt").write_text(lines, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{printable(out)}: no folder can be written there ({error.strerror})") from error


def _choose_artifact(bundle: Bundle, name: str | None) -> ArtifactEntry:
    usable = {item.id: item for item in bundle.manifest.artifacts if item.format == "tflite"}
    if not usable:
        raise InputError(f"{printable(bundle.root)}: has no .tflite, which an AI pack needs")
    if name is not None and name not in usable:
        raise unknown_name_error("artifact", name, [*usable], printable(bundle.root))
    gate = bundle.manifest.gate
    recommended = [item.artifact for item in gate.recommended] if gate else []
    wanted = [name] if name else [PREFERRED, *recommended, *usable]
    return next(usable[item] for item in wanted if item in usable)


def _check_replaceable(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and tree_files(folder).keys() <= {*FILES}:
        return
    if os.path.lexists(folder):
        raise InputError(f"{printable(folder)}: holds something else than an AI pack; choose another folder with --out")
