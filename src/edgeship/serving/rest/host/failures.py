"""What the server answers in place of outputs. KServe's own errors keep their meaning."""

from __future__ import annotations

from edgeship.errors import InputError


class Refused(InputError):
    """A request that is not answered; `status` is HTTP's."""

    status = 400


class NotAllowed(Refused):
    """No key, or a wrong one."""

    status = 401


class Unknown(Refused):
    """No such model, version or job."""

    status = 404


class TooSlow(Refused):
    """The body did not arrive in time."""

    status = 408


class NotYet(Refused):
    """A job that has no result, or not yet."""

    status = 409


class TooLarge(Refused):
    """The body is larger than the server takes."""

    status = 413


class Busy(Refused):
    """Too much is waiting already."""

    status = 503


class TimeIsUp(Refused):
    """The answer took longer than the server allows."""

    status = 504


class ModelFailed(Refused):
    """The runtime failed on what it was given."""

    status = 500
