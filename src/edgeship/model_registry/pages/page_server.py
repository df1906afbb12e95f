"""MLflow's own page of a registry, where all of MLflow is installed."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import field
from importlib.util import find_spec

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.connection import ENVIRONMENT, Place, check_database

HOST = "127.0.0.1"
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # another process of 250 MB, which a registry has no use for


@dataclass(frozen=True)
class PageServer:
    """How the page is served: a command, which runs until it is ended, with these variables in its environment."""

    address: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=lambda: {**ENVIRONMENT, **NO_JOBS})


def find_server(store: str, port: int) -> PageServer | None:
    """What serves the page of a SQLite registry; None where what the page needs is not installed.

    Raises InputError for a server, which has its page already, where there is no registry, and for a port in use.
    """
    place = Place.parse(store)
    if place.file is None:
        raise InputError(f"{place}: is a server with a page of its own; open it in a browser")
    if not place.file.exists():
        raise InputError(f"{place}: no registry is there; `edgeship registry add BUNDLE --name NAME` begins one")
    check_database(place, place.file)
    if find_spec("mlflow") is None or find_spec("flask") is None:
        return None
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was in use a moment ago will do; on Windows this takes one that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror}); --port names another") from error
    stores = ("--backend-store-uri", place.uri, "--registry-store-uri", place.uri)
    command = (sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1", *stores)
    return PageServer(f"http://{HOST}:{port}", command)
