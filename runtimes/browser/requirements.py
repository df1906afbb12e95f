"""What the browser runtimes need: Chromium, Playwright for Python, and the built runner page."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.runtimes import tfjs_node

WEB = Path(__file__).parents[1] / "web"
PAGE = WEB / "dist"
SHARED = ("../tfjs/batching.mjs", "../tfjs/graph.mjs")
# Where distributions put it; EDGESHIP_CHROMIUM names another one.
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# As runtimes/web/package.json pins them; an installed edgeship has the built page without it.
PINNED = {"tfjs": "4.22.0", "litert": "2.5.3", "ort": "1.30.0", "mediapipe": "1.1.0"}


def find_chromium() -> str | None:
    """The browser's path: `$EDGESHIP_CHROMIUM`, the system's, or the one that `playwright install chromium` downloads."""
    if path := os.environ.get("EDGESHIP_CHROMIUM"):
        return shutil.which(path) if os.path.dirname(path) else find_program(path)
    return next(filter(None, map(find_program, NAMES)), None) or _find_download()


def _find_download() -> str | None:
    caches = {"darwin": "~/Library/Caches/ms-playwright", "win32": "~/AppData/Local/ms-playwright"}
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or caches.get(sys.platform, "~/.cache/ms-playwright")
    patterns = (
        "chromium-*/chrome-linux*/chrome",
        "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
        "chromium-*/chrome-win*/chrome.exe",
    )
    paths = sorted(path for pattern in patterns for path in Path(folder).expanduser().glob(pattern))
    return os.fspath(paths[-1]) if paths else None


@cache
def browser_version() -> str | None:
    """Chromium's version, for example 156.0.8078.79."""
    path = find_chromium()
    if path is None:
        return None
    process = subprocess.run(
        [path, "--version"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env=child_environment(),
    )
    match = re.search(r"\d+(\.\d+){2,3}", process.stdout)
    return match.group() if match else None


def engine_version(engine: str) -> str | None:
    """The engine's version and the browser's; both decide what a model does and how long it takes."""
    if unavailable_reason():
        return None
    return f"{PINNED[engine]} (Chromium {browser_version()})"


def page_digest() -> str | None:
    """The digest of what the page was built from, or None where it is not built."""
    build_file = PAGE / "built.json"
    return hashlib.sha256(build_file.read_bytes()).hexdigest() if build_file.exists() else None


def unavailable_reason() -> str | None:
    """Why the browser runtimes cannot be used."""
    reasons = []
    if find_chromium() is None:
        reasons.append("Chromium is not installed")
    elif browser_version() is None:
        reasons.append(f"{find_chromium()} does not tell its version")
    if find_spec("playwright") is None:
        reasons.append("playwright is not installed")
    if not (PAGE / "index.html").exists():
        reasons.append("its page has not been built")
    elif _is_stale():
        reasons.append("its page was built from other sources")
    return ", ".join(reasons) or None


def _is_stale() -> bool:
    """Whether the page was built from other sources than those beside it; an installed one may come without any."""
    return (WEB / "src").exists() and _read_build()["sources"] != _digest_sources()


def _read_build() -> dict[str, Any]:
    """What is known of the built page: digests of its sources, and bytes of its downloads by engine."""
    build: dict[str, Any] = json.loads((PAGE / "built.json").read_text(encoding="utf-8"))
    return build


def download_bytes(engine: str) -> int:
    """Bytes of an engine's JavaScript and WebAssembly for one thread, with gzip -9, as the page was built."""
    return int(_read_build()["downloads"][engine])


def _digest_sources() -> str:
    """The digest of what the page is built from, computed as runtimes/web/vite.config.ts does."""
    files = ["index.html", "package-lock.json", "vite.config.ts", *SHARED]
    files += [path.relative_to(WEB).as_posix() for path in (WEB / "src").rglob("*.ts")]
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\n".encode() + hashlib.sha256((WEB / name).read_bytes()).digest())
    return total.hexdigest()


def install_page() -> Path:
    """Build the page where it is not built; say what to do about Chromium and Playwright. Returns the page's folder."""
    if not (PAGE / "index.html").exists() or _is_stale():
        _build_page()
    if find_spec("playwright") is None:
        raise MissingDependencyError("playwright is not installed: pip install 'edgeship[browser]'")
    if find_chromium() is None:
        raise MissingDependencyError(
            "Chromium is not installed: apt-get install chromium, or playwright install chromium, "
            "or name another one in EDGESHIP_CHROMIUM"
        )
    return PAGE


def _build_page() -> None:
    if not (WEB / "package.json").exists():
        raise MissingDependencyError(
            "this edgeship was installed without its runner page: install one that was built with it (`make wheel` in a checkout)"
        )
    if reason := tfjs_node.build_problem():
        raise MissingDependencyError(f"building the runner page {reason}; a wheel holds it built")
    npm = find_program("npm") or ""
    for command in ((npm, "ci", "--ignore-scripts", "--loglevel=error"), (npm, "run", "build")):
        env = child_environment(None, NETWORK)
        process = subprocess.run(
            command, cwd=WEB, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
        )
        if process.returncode:
            lines = [line for line in (process.stderr + process.stdout).splitlines() if line.strip()] or ["no message"]
            raise ProcessError(f"{' '.join(command[1:])} in {WEB} failed: {brief_message(lines[-1])}")
