"""The socket that the server listens at, opened here and there in the same way."""

from __future__ import annotations

import socket

from edgeship.errors import InputError

BACKLOG = 1024


def open_socket(host: str, port: int, option: str) -> socket.socket:
    """A listening socket; port 0 is any that is free. Raises InputError, naming the `option`, where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # the address stands there already
        raise InputError(
            f"{option} {port}: cannot listen on {host} there ({reason}); 0 takes any that is free"
        ) from error
