"""Configurations that the user trusts: an `edgeship.toml` that lies beside a model lets code run only if it is one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeship.settings.permissions import Grant


def trust_config(file: str | os.PathLike[str]) -> tuple[Grant, ...]:
    """Trust a configuration with the content that it has now, and return what it lets run and read.

    One that lets nothing run needs no trust, and none is recorded. Raises InputError where it cannot be read.
    """
    from edgeship.settings import permissions, trust
    from edgeship.settings.config import read_content
    from edgeship.untrusted import parse_toml

    path = Path(file)
    content = read_content(path)
    grants = permissions.find_file_grants(parse_toml(content, path), path.parent)
    if grants:
        trust.trust_file(path, content)
    return grants


def distrust_config(file: str | os.PathLike[str]) -> None:
    """Trust a configuration no longer, whether it is there or not."""
    from edgeship.settings import trust

    trust.distrust_file(Path(file))


def list_trusted_configs() -> dict[str, str]:
    """The trusted files: sha256 by absolute path."""
    from edgeship.settings import trust

    return trust.read_list()
