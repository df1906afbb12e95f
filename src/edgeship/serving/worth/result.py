"""What `edgeship worth` tells of a bundle."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass
from edgeship.serving.worth.costs import Costs, Load
from edgeship.serving.worth.decision import Choice, Decision
from edgeship.serving.worth.figures import AccuracyOf, DeviceLatency, ServerTimes
from edgeship.serving.worth.membership import MembershipRisk
from edgeship.serving.worth.networks import NetworkLatency
from edgeship.serving.worth.prices import Prices, Range
from edgeship.types import Kind

LIMIT_MS = 100.0  # what feels instant: Card, Moran and Newell 1983; Nielsen 1993, "Usability Engineering", 5.5
USERS, INFERENCES = 10_000, 20.0  # that are assumed where nobody says
NETWORK = "server-4g"


@dataclass(frozen=True)
class Question:
    """For whom it is asked: the `network` of most users, how late p99 may be, users and inferences of each a day.

    `offline`: it has to work without a network. `device`: the one that the client's time is taken from; empty: the slowest.
    """

    network: str = NETWORK
    limit_ms: float = LIMIT_MS
    users: float = USERS
    inferences_a_day: float = INFERENCES
    offline: bool = False
    device: str = ""


@dataclass(frozen=True)
class Change:
    """What would give another decision: the `choice` from a `value` of `what` on (or below it), with its range, in words too."""

    what: str
    choice: Choice
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Update:
    """How long a new version takes by a way, as a range of hours, and to whom: `of` users."""

    way: str
    hours: Range
    of: str
    kind: Kind


@dataclass(frozen=True)
class Exposure:
    """What leaves the device for an inference, and whether everybody can download the model."""

    leaves: tuple[str, ...]
    model_is_public: bool


@dataclass(frozen=True)
class CurvePoint:
    """The server's answers at a place on the way from a good network (0) to a bad one (1), in ms."""

    place: float
    conditions: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Worth:
    """Both sides of the same model, the decision, and what would change it.

    `over` are the decisions over each network. `client` and `served` are artifacts' ids; empty where there is none.
    """

    model: str
    question: Question
    decision: Decision
    over: dict[str, Decision]
    changes: tuple[Change, ...]
    client: str
    served: str
    client_latency: DeviceLatency | None
    devices: tuple[DeviceLatency, ...]
    networks: tuple[NetworkLatency, ...]
    curve: tuple[CurvePoint, ...]
    server_times: ServerTimes
    load: Load | None
    costs: Costs | None
    prices: Prices
    download_bytes: int | None
    accuracy: tuple[AccuracyOf, ...]
    exposure: dict[str, Exposure]
    membership: MembershipRisk
    updates: tuple[Update, ...]
