"""Client code from templates, one folder a language: whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import Bundle
from edgeship.bundle.head_learning import FOLDER
from edgeship.client.learning import arithmetic, engines, learner, outcome, package, state
from edgeship.client.reports import counts, inferences, tensors, windows
from edgeship.deploy.codegen.client import TFJS, TFLITE, Client, describe_client
from edgeship.deploy.codegen.learning import HEAD, Learning
from edgeship.deploy.contract.contract import KIND
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.errors import InputError, unknown_name_error
from edgeship.notices import print_notice
from edgeship.storage import atomic
from edgeship.untrusted import printable, read_json

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = ".jinja"
LANGUAGES = ("c", "kotlin", "python", "swift", "typescript")
FORMATS: Mapping[str, Sequence[str]] = {"typescript": (TFLITE, TFJS)}  # that a language runs beside .tflite alone
LICENSE, LABELS, GOLDENS = "LICENSE.txt", "labels.txt", "goldens"
DATA = (CONTRACT, LICENSE, LABELS, GOLDENS, "model.tflite", "model", HEAD)  # what a folder has in every language
COUNTING = "counting"  # the folder of what clients of bundles with a profile have beside the rest
LEARNING = "learning"  # the folder of what clients of bundles that learn have beside the rest
COUNTER = "edgeship_client/counting"  # the same in Python, whose counter is that of edgeship.client
COUNTER_MODULES = (counts, inferences, tensors, windows)
LEARNER = "edgeship_client/learning"
LEARNER_MODULES = (arithmetic, engines, learner, outcome, package, state)
IMPORTS = {  # of edgeship.client, by what they are in a client
    "from edgeship.client.outcome import": "from .client_error import",
    "from edgeship.client.selftest.runtimes import": "from .runtimes import",
    "from edgeship.client.learning import": "from . import",
    "from edgeship.client.learning.": "from .",
    "from edgeship.client.reports.": "from .",
}
PRODUCTS = ("__pycache__", "build", "node_modules", "package-lock.json", "selftest")  # of the steps in the READMEs


def write_clients(bundle: Bundle, languages: Sequence[str], out: Path, artifact: str | None = None) -> list[Path]:
    """Write a client for each language into `out`/<language> and return these folders.

    Raises InputError for an unknown language, a model that clients cannot feed, a folder that holds anything else, and a
    place that cannot be written to.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise unknown_name_error("language", language, LANGUAGES)
    if not languages:
        raise InputError(f"no language is named; known: {', '.join(LANGUAGES)}")
    clients = [describe_client(bundle, artifact, FORMATS.get(language, (TFLITE,))) for language in languages]
    for reason in sorted({client.not_counted for client in clients if client.not_counted}):
        print_notice(f"the clients have no counter: {reason}")
    for reason in sorted({client.not_learning for client in clients if client.not_learning}):
        print_notice(f"the clients do not learn: {reason}")
    folders = [out / language for language in languages]
    for language, folder in zip(languages, folders, strict=True):
        _check_replaceable(folder, language)
    try:
        for language, client, folder in zip(languages, clients, folders, strict=True):
            with atomic.atomic_folder(folder) as draft:
                write_client(client, bundle.root, language, draft)
    except OSError as error:
        raise InputError(f"{printable(out)}: no folder can be written there ({error.strerror})") from error
    return folders


def _check_replaceable(folder: Path, language: str) -> None:
    """Raise InputError where there is a file that no earlier run of ours wrote, and no build of what it wrote."""
    if not os.path.lexists(folder):
        return
    strange = next(_strange_files(folder, language), None) if folder.is_dir() else folder
    if strange is not None:
        raise InputError(
            f"{printable(folder)}: holds something else than generated code ({printable(strange.name)}); "
            "choose another folder with --out"
        )


def _strange_files(folder: Path, language: str) -> Iterator[Path]:
    source = TEMPLATES / language
    ours = {path.relative_to(source).as_posix().removesuffix(TEMPLATE) for path in source.rglob("*")}
    ours |= {name for name, _ in _own_files(language)}
    tops = sorted(folder.iterdir())
    for top in tops:
        if top.name not in (*DATA, *PRODUCTS):
            for path in (top, *sorted(top.rglob("*"))):
                if path.relative_to(folder).as_posix() not in ours and "__pycache__" not in path.parts:
                    yield path
    if tops and not _is_contract(folder / CONTRACT):
        yield next((path for path in tops if path.name == CONTRACT), tops[0])


def _is_contract(path: Path) -> bool:
    try:
        content = read_json(path)
    except InputError:
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def write_client(client: Client, root: Path, language: str, draft: Path) -> None:
    """Write a client of a bundle (`root`: its folder) with its goldens into an empty folder."""
    environment = _make_environment()
    source = TEMPLATES / language
    parts = {COUNTING: client.counting, LEARNING: client.learning}
    left_out = {"__pycache__", *(name for name, part in parts.items() if not part)}
    for path in sorted(item for item in source.rglob("*") if item.is_file()):
        name = path.relative_to(source)
        if left_out & {*name.parts}:
            continue
        place = draft / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == TEMPLATE:
            template = environment.get_template(path.relative_to(TEMPLATES).as_posix())
            place.with_suffix("").write_text(template.render(client=client), encoding="utf-8", newline="\n")
        else:
            shutil.copyfile(path, place)
    for module, content in _own_files(language):
        if (draft / module).parent.is_dir():
            (draft / module).write_text(content, encoding="utf-8", newline="\n")
    _copy_data(client, root, draft)
    if client.learning:
        _copy_head(client.learning, root, language, draft / HEAD)


def _own_files(language: str) -> Iterator[tuple[str, str]]:
    """The modules of edgeship's own client that one in Python has, by name; they know each other by relative names there."""
    for folder, modules in ((COUNTER, COUNTER_MODULES), (LEARNER, LEARNER_MODULES)) if language == "python" else ():
        for module in modules:
            path = Path(str(module.__file__))
            text = path.read_text(encoding="utf-8")
            for name, own in IMPORTS.items():
                text = text.replace(name, own)
            yield f"{folder}/{path.name}", _sort_imports(text)


def _sort_imports(text: str) -> str:
    """In the order of the names that the modules have in a client; each of ours is on a line of its own."""
    parts = groupby(text.splitlines(keepends=True), key=lambda line: line.startswith("from ."))
    return "".join(line for own, lines in parts for line in (sorted(lines) if own else lines))


def _copy_head(head: Learning, root: Path, language: str, place: Path) -> None:
    """The head's files: plain ones, but in Python, which reads `learning/` as it is."""
    place.mkdir()
    if language == "python":
        for name in head.package:
            shutil.copyfile(root / FOLDER / name, place / name)
        return
    for name, content in head.files.items():
        (place / name).write_bytes(content)


def _copy_data(client: Client, root: Path, draft: Path) -> None:
    for name, file in client.model.items():
        place = draft / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    shutil.copyfile(root / CONTRACT, draft / CONTRACT)
    shutil.copyfile(TEMPLATES / LICENSE, draft / LICENSE)
    (draft / GOLDENS).mkdir()
    for name, content in client.goldens.items():
        (draft / GOLDENS / name).write_bytes(content)
    labels = next((output.labels for output in client.outputs if output.labels), ())
    if labels:
        (draft / LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8", newline="\n")


def _make_environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701  # what is written is code, and every text goes through a filter of its language
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment


def quote_text(text: str) -> str:
    """A text as a literal of Python, TypeScript and Swift, which share JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def quote_json(value: Any) -> str:
    """A JSON value as a literal of TypeScript."""
    return json.dumps(value, ensure_ascii=False)


def quote_c(text: str) -> str:
    """A text as a literal of C: UTF-8, all but plain ASCII as octal escapes, and no trigraph."""
    plain = [chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()]
    return f'"{"".join(plain)}"'


def quote_kotlin(text: str) -> str:
    """A text as a literal of Kotlin, in which $ begins a template."""
    return quote_text(text).replace("$", "\\$")


def format_float32(value: float) -> str:
    """The shortest decimal that becomes the same float32, with a point or an exponent."""
    import numpy as np

    return repr(float(str(np.float32(value))))


FILTERS: Mapping[str, Any] = {
    "c_text": quote_c,
    "kotlin_text": quote_kotlin,
    "python": repr,
    "text": quote_text,
    "float32": format_float32,
    "json": quote_json,
}
