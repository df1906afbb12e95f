"""The source of a model's custom objects, which are part of the model."""

from __future__ import annotations

from edgeship.storage import digest


def custom_digest(modules: str | None) -> str | None:
    """The digest of the sources of the custom objects' top-level packages: they are part of the model."""
    names = (modules or "").replace(",", " ").split()
    return digest.of_json([digest.of_module(name, "--custom-objects ") for name in names]) if names else None
