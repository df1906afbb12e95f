"""The model of a network: known answers where there are some, and what may not be."""

from random import Random

import pytest

from edgeship.devices import profiles
from edgeship.devices.network import HEADERS, SEGMENT, Network, draw_answers, parse_network
from edgeship.errors import InputError

PLAIN = Network(rtt_ms=100)


def percentile(times, share):
    return times[round(share * (len(times) - 1))]


def test_without_a_network_an_answer_takes_what_the_server_takes():
    assert draw_answers(Network(), [7.0], 10_000_000, 4000, draws=5) == [7.0] * 5


def test_a_small_question_takes_a_round_trip_and_a_new_connection_two_more():
    assert draw_answers(PLAIN, [5.0], 600, 300, draws=3) == [105.0] * 3
    assert draw_answers(PLAIN, [5.0], 600, 300, draws=3, connects=True) == [305.0] * 3


@pytest.mark.parametrize(("segments", "round_trips"), [(10, 0), (11, 1), (30, 1), (31, 2), (70, 2), (413, 5)])
def test_a_large_message_waits_for_acknowledgements_as_slow_start_says(segments, round_trips):
    """Windows of 10, 20, 40, ... segments (RFC 6928, RFC 5681); MobileNetV2's picture of 602,112 bytes has 413."""
    assert PLAIN.message_ms(segments * SEGMENT, 0.0, Random(0)) == 50 + 100 * round_trips


def test_a_slow_line_takes_as_long_as_its_bits():
    size = 100 * SEGMENT
    line_ms = (size + 100 * HEADERS) * 8 / 1000  # at 1 Mbit/s
    assert Network(rtt_ms=2).message_ms(size, 1.0, Random(0)) == pytest.approx(line_ms + 1)


def test_jitter_has_its_mean():
    times = draw_answers(Network(rtt_ms=50, jitter_ms=20), [0.0], 100, 100, draws=20_000)
    assert sum(times) / len(times) == pytest.approx(70, abs=0.5)
    assert min(times) >= 50


def test_a_lost_segment_costs_a_timeout_where_nothing_follows_that_tells_of_it():
    """One segment each way: with a loss of 10 % an answer is later in 1 - 0.9^2 of the cases, by RTT and 200 ms or more."""
    times = draw_answers(Network(rtt_ms=100, loss=0.1), [0.0], 100, 100, draws=20_000)
    late = [time for time in times if time > 100]
    assert len(late) / len(times) == pytest.approx(0.19, abs=0.01)
    assert min(late) == 400
    assert percentile(late, 0.5) == 400


def test_a_loss_in_the_middle_of_a_window_costs_a_round_trip_alone():
    network = Network(rtt_ms=100, loss=0.02)
    times = sorted(network.message_ms(10 * SEGMENT, 0.0, Random(seed)) for seed in range(4000))
    assert sum(time == 50 for time in times) / 4000 == pytest.approx(0.98**10, abs=0.02)
    assert sum(time == 150 for time in times) / 4000 == pytest.approx((1 - 0.98**7) * 0.98, abs=0.02)


def test_worse_networks_are_slower():
    names = ("server-local", "server-lan", "server-4g", "server-3g-bad")
    networks = [parse_network(profiles.find_device(name).launch, name) for name in names]
    p99 = [percentile(draw_answers(network, [1.0], 4000, 400), 0.99) for network in networks]
    assert p99 == sorted(p99)
    assert networks[0].is_none


@pytest.mark.parametrize(
    ("key", "value"), [("rtt_ms", -1), ("loss", 0.6), ("up_mbit", 0), ("jitter_ms", True), ("loss", "1 %")]
)
def test_conditions_that_are_none_are_refused(key, value):
    with pytest.raises(InputError, match=rf"device x: {key} = .* must be a number from"):
        parse_network({"how": "server", key: value}, "device x")


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_a_message_of_any_size_takes_its_time_and_little_of_ours(loss):
    """A terabyte at 1 Mbit/s takes 8 * 10^6 s, its headers a fortieth more, and with losses no less."""
    network = Network(rtt_ms=50, loss=loss)
    took = network.message_ms(10**12, 1.0, Random(0)) / 1000
    assert took > 0.99 * 8e6 * (1 + HEADERS / SEGMENT)
    assert loss or took == pytest.approx(8e6 * (1 + HEADERS / SEGMENT), rel=0.01)
    assert len(draw_answers(network, [1.0], 10**12, 100)) == 100
