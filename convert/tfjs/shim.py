"""Make `tensorflowjs` 4.22 importable without the packages that graph models never need.

Its requirements (jax, flax, a TensorFlow and decision forests of its own) cannot live with ours, so it is never installed by
pip's resolver: the development environment holds it without them, elsewhere it is put once into edgeship's cache folder.
Modules that its import asks for and that are absent are replaced by empty ones, after TensorFlow (which probes for jax).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path

from edgeship.errors import MissingDependencyError, brief_message
from edgeship.notices import print_notice
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.storage import cache, installed
from edgeship.storage.atomic import atomic_folder

VERSION = "4.22.0"
SHA256 = "bd4deb1e7feab538ee7f2625fe85446742bb4765bebab345b534688ab41e3e1c"


def ensure_importable() -> None:
    """Import tensorflowjs, installing it into the cache folder first where it is absent.

    Raises MissingDependencyError with the command to run where that fails, or where TensorFlow is missing.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependencyError("TF.js conversion needs TensorFlow: pip install 'edgeship[tfjs]'")
    import tensorflow  # noqa: F401 - before any stub

    if importlib.util.find_spec("tensorflowjs") is None:
        sys.path.append(str(_ensure_installed()))
        sys.dont_write_bytecode = True  # it would be a file that was not installed
        importlib.invalidate_caches()
    for name in ("tensorflow_decision_forests", "tensorflow_hub"):
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)
    if importlib.util.find_spec("jax") is None:
        stub = types.ModuleType("tensorflowjs.converters.jax_conversion")
        stub.__dict__["convert_jax"] = None
        sys.modules.setdefault(stub.__name__, stub)
    import tensorflowjs  # noqa: F401 - the point of it all


def install_if_missing() -> None:
    """Install tensorflowjs where `ensure` would: for the process that starts the converting one, which knows no proxies."""
    if importlib.util.find_spec("tensorflow") and not importlib.util.find_spec("tensorflowjs"):
        _ensure_installed()


def _ensure_installed() -> Path:
    """The folder that holds tensorflowjs, installed there if need be: built beside and moved into place.

    Raises InputError where the folder is not the user's own, or holds something else than was installed.
    """
    import platformdirs

    place = Path(platformdirs.user_cache_dir("edgeship")).absolute() / "tools" / f"tensorflowjs-{VERSION}"
    cache.own_folder(place.parent)
    if (place / "tensorflowjs").is_dir():
        installed.check(place, "edgeship convert MODEL --to tfjs")
        return place
    print_notice(f"edgeship: installing the TF.js converter (tensorflowjs {VERSION}, once) into {place}")
    with atomic_folder(place) as draft:
        requirements = draft.with_name("requirements.txt")
        requirements.write_text(f"tensorflowjs=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
        _run_installer(requirements, draft)
        draft.chmod(0o700)  # pip makes it as wide as the user's umask lets it
        installed.record(draft)
    return place


def _run_installer(requirements: Path, target: Path) -> None:
    options = ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(requirements)]
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]
    elif importlib.util.find_spec("uv") or find_program("uv"):
        uv = [sys.executable, "-P", "-m", "uv"] if importlib.util.find_spec("uv") else [find_program("uv") or "uv"]
        # At the root, where no pyproject.toml or uv.toml is that would change what is installed.
        command = [*uv, "--directory", target.anchor, "pip", "install", "--quiet", "--python", sys.executable, *options]
    else:
        raise MissingDependencyError(_install_advice("neither pip nor uv is there to install it"))
    env = child_environment(None, NETWORK)
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env)
    if result.returncode or not (target / "tensorflowjs").is_dir():
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
        raise MissingDependencyError(_install_advice(brief_message(lines[-1], 200)))


def _install_advice(why: str) -> str:
    return (
        f"TF.js conversion needs tensorflowjs {VERSION}, and installing it failed: {why}. "
        f"Install it yourself: {sys.executable} -m pip install --no-deps tensorflowjs=={VERSION}"
    )
