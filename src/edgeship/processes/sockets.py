"""The socket that a server listens at, opened everywhere in the same way."""

from __future__ import annotations

import os
import socket

from edgeship.errors import InputError
from edgeship.untrusted import printable

BACKLOG = 2048


def open_socket(host: str, port: int, option: str = "--port") -> socket.socket:
    """A listening socket; port 0 is any that is free. Raises InputError, naming the `option`, where it cannot be had.

    It says that it is of TCP, as those of `socket.create_server` do not: else asyncio leaves Nagle's algorithm on, 40 ms for
    each answer.
    """
    listener = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":  # on Windows it would let two listen
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:  # the last: of a host that is no name
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        text = f"cannot listen on {printable(host)[:100]} there ({reason}); 0 takes any that is free"
        raise InputError(f"{option} {port}: {text}") from error
    return listener
