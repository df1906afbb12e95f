"""What the databases that ADBC reaches have in common: addresses as people see them, names, parameters, what a driver says.

No driver is imported here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from edgeship.errors import brief_message
from edgeship.untrusted import printable

_REPEATED = re.compile(r"\n[Qq]uery(?: was)?:")


def hide_password(address: str) -> str:
    """An address as it may be shown: the user's name stays, a password and options, which may hold one, do not."""
    try:
        parts = urlsplit(address)
        user, at, host = parts.netloc.rpartition("@")
        return printable(f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}")
    except ValueError:
        return printable(address.partition("://")[0]) + "://..."


def driver_reason(error: BaseException, address: str = "") -> str:
    """What a driver of ADBC says, on a line and without the statement or the `address`, with its password, which it repeats."""
    text = _REPEATED.split(str(error))[0]
    return printable(brief_message(text.replace(address, hide_password(address)) if address else text, 240))


def number_parameters(statement: str) -> str:
    """A statement whose parameters are `?`, as PostgreSQL has it: `$1`, `$2`. None of its texts may hold a `?`."""
    parts = statement.split("?")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


def quote_name(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
