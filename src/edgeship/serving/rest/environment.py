"""The server's own environment: KServe takes protobuf below 7, and TensorFlow's converters another one."""

from __future__ import annotations

from pathlib import Path

from edgeship.runtimes.own_environment import OwnEnvironment

SERVER, TITLE = "server", "KServe, for `edgeship serve`"
ENVIRONMENT = OwnEnvironment("kserve", place=Path(__file__).parent, installed_by=SERVER)
INSTALL = f"install it with: {ENVIRONMENT.command}"
