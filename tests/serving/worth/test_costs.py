"""Costs and flip points with known answers, and price files that are none."""

import math
from dataclasses import replace

import pytest

from edgeship.errors import InputError
from edgeship.serving.worth import costs
from edgeship.serving.worth.costs import Load, Side
from edgeship.serving.worth.prices import Range, read_prices

# 730 hours at 1 a processor, one processor at least, no traffic; the client costs 1,460 and nothing for each user.
PLAIN = """
date = 2026-11-29
[server]
vcpu_hour = 1
least_vcpus = 1
peak = 1
gb_out = 0
gb_in = 0
a_month = 0
[client]
gb_out = 0
releases_a_month = 1
per_client_a_month = 0
a_month = 1460
"""
LOAD = Load(users=1000, inferences_a_day=86.4, bytes_up=1e6, bytes_down=1e3, download=1e6, vcpu_rate=1.0)


@pytest.fixture
def prices(tmp_path):
    def read(text=PLAIN):
        (tmp_path / "prices.toml").write_text(text)
        return read_prices(tmp_path / "prices.toml")

    return read


def test_the_flip_is_where_the_second_processor_is_needed_twice(prices):
    """1,000 users with 86.4 inferences a day ask once a second: one processor; 2,000 users cost two, as much as the client."""
    found = costs.compare_costs(LOAD, prices())
    assert found.server == Range(730, 730, 730)
    assert found.client == Range(1460, 1460, 1460)
    assert found.cheaper is Side.SERVER
    (flip,) = found.users
    assert (flip.value, flip.low, flip.high) == pytest.approx((2000, 2000, 2000))
    assert (flip.cheaper_below, flip.cheaper_above) == (Side.SERVER, Side.CLIENT)
    (flip,) = found.inferences
    assert flip.value == pytest.approx(172.8)
    assert costs.compare_costs(replace(LOAD, users=2001), prices()).cheaper is Side.CLIENT


def test_ranges_of_prices_become_ranges_of_flip_points(prices):
    """A processor for 0.5 to 1.6 an hour: the client's 1,460 are those of 4 and of 1.25 processors."""
    ranged = prices(PLAIN.replace("vcpu_hour = 1\n", "vcpu_hour = [0.5, 1, 1.6]\n"))
    found = costs.compare_costs(replace(LOAD, users=3000), ranged)
    (flip,) = found.users
    assert (flip.low, flip.value, flip.high) == pytest.approx((1250, 2000, 4000))
    assert found.cheaper is None, "3,000 users lie within the range"
    for users, side in ((1249, Side.SERVER), (4001, Side.CLIENT)):
        assert costs.compare_costs(replace(LOAD, users=users), ranged).cheaper is side


def test_a_client_that_costs_something_for_each_user_loses_in_between(prices):
    """The client costs 0.73 a user: cheaper than a server's least up to 1,000 users, dearer up to where the server needs more."""
    text = PLAIN.replace("a_month = 1460", "a_month = 0").replace("per_client_a_month = 0", "per_client_a_month = 0.73")
    text = text.replace("vcpu_hour = 1\n", "vcpu_hour = 2\n").replace("least_vcpus = 1\n", "least_vcpus = 0.5\n")
    found = costs.compare_costs(replace(LOAD, inferences_a_day=17.28), prices(text))
    first, *more = found.users
    assert first.value == pytest.approx(1000)
    assert (first.cheaper_below, first.cheaper_above) == (Side.CLIENT, Side.SERVER)
    assert not more
    dearer = costs.compare_costs(replace(LOAD, inferences_a_day=86.4), prices(text))
    assert dearer.users == (), "each user costs the server more than the client"
    assert dearer.cheaper is Side.CLIENT


def test_traffic_costs_what_its_bytes_cost(prices):
    """10 inferences a day of 1 MB up: 1,000 users send 304.2 GB a month."""
    text = PLAIN.replace("gb_in = 0", "gb_in = 2")
    found = costs.compare_costs(replace(LOAD, inferences_a_day=10), prices(text))
    assert found.server.usual == pytest.approx(730 + 2 * 10 * 1000 * 365 / 12 / 1000)


def test_a_server_that_is_always_cheaper_never_flips(prices):
    free = prices(PLAIN.replace("vcpu_hour = 1\n", "vcpu_hour = 0\n"))
    found = costs.compare_costs(LOAD, free)
    assert found.users == found.inferences == ()
    assert found.cheaper is Side.SERVER


def test_a_flip_that_dear_servers_alone_have_has_no_upper_end(prices):
    found = costs.compare_costs(LOAD, prices(PLAIN.replace("vcpu_hour = 1\n", "vcpu_hour = [0, 0, 1]\n")))
    (flip,) = found.users
    assert flip.low == pytest.approx(2000)
    assert flip.value is flip.high is None


def test_costs_grow_with_users_and_flips_agree_with_costs(prices):
    """What the flip points say is what the costs themselves say, for the default prices."""
    default, load = read_prices(), replace(LOAD, inferences_a_day=20, vcpu_rate=200)
    found = costs.compare_costs(load, default)
    for flip in found.users:
        for end in (flip.low, flip.value, flip.high):
            if end:
                below, above = (
                    costs.compare_costs(replace(load, users=end * by), default).difference for by in (0.99, 1.01)
                )
                pairs = zip((below.low, below.usual, below.high), (above.low, above.usual, above.high), strict=True)
                assert any(math.copysign(1, first) != math.copysign(1, second) for first, second in pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date = 2026-01-01\n[server]\nvcpu_hour = -1", r"\[server\]: vcpu_hour = -1 must be a number from 0 on"),
        ("date = 2026-01-01\n[server]\nvcpu_hour = [3, 2, 1]", r"\[low, usual, high\] in that order"),
        ("date = 2026-01-01\n[server]\nvcpu = 1", r"unknown key 'vcpu' in .*\[server\].*vcpu_hour"),
        ("date = 2026-01-01\n[servers]\nvcpu_hour = 1", "unknown key 'servers'"),
        ("[server]\nvcpu_hour = 1", "date = 2026-11-29 is missing"),
        ('date = 2026-01-01\ncurrency = "EUR"', r"\[server\] in EUR needs all of its keys, vcpu_hour"),
        ("date = 2026-01-01\n[server]\nvcpu_hour = nan", "must be a number"),
        ("date = 2026-01-01\nserver = 3", "expected a table"),
        ("date = [", "not valid TOML"),
    ],
)
def test_price_files_that_are_none(text, message, prices):
    with pytest.raises(InputError, match=message):
        prices(text)
