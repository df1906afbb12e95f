"""The environment of edgeship's server, as the server's own tests have it."""

from tests.serving.rest.conftest import installed_server

__all__ = ["installed_server"]
