from edgeship.benchmarks.measure import host_noise


def test_a_quiet_machine_is_stable():
    state = host_noise.judge_host([1.0 + 0.003 * number for number in range(15)], [0] * 15, cores=2)
    assert state.stable
    assert state.unstable_reason == ""


def test_two_hiccups_are_forgiven_and_three_are_not():
    assert host_noise.judge_host([1.0] * 13 + [3.0] * 2, [0] * 15, cores=2).stable
    assert not host_noise.judge_host([1.0] * 12 + [3.0] * 3, [0] * 15, cores=2).stable


def test_a_varying_loop_is_unstable():
    state = host_noise.judge_host([1.0] * 10 + [1.2] * 5, [0] * 15, cores=2)
    assert not state.stable
    assert state.unstable_reason == "unstable: a calibration loop varies by 20.0%, more than 10%"


def test_others_on_every_core_make_it_unstable():
    state = host_noise.judge_host([1.0] * 15, [2] * 15, cores=2)
    assert "2 other processes want the 2 cores" in state.reason
    assert host_noise.judge_host([1.0] * 15, [1] * 15, cores=2).stable


def test_check_takes_its_rounds():
    rounds = []
    state = host_noise.check_host(loop=lambda: rounds.append(1) or 1.0, runnable=lambda: 0, cores=4)
    assert state.stable
    assert len(rounds) == host_noise.ROUNDS + 1


def test_unknown_process_count_leaves_the_loop_to_decide():
    state = host_noise.check_host(loop=lambda: 1.0, runnable=lambda: None, cores=1)
    assert state.stable
    assert state.runnable is None


def test_the_real_loop_gives_times():
    assert host_noise.check_host().spread >= 0


def test_patience_stays_where_only_other_guests_of_the_host_disturb():
    looks = []
    noisy = host_noise.judge_host([1.0] * 10 + [1.3] * 5, [0] * 15, cores=2)
    patience = host_noise.QuietHostWaiter(lambda: looks.append(1) or noisy, lambda _: None)
    assert all(patience.wait().startswith("unstable: ") for _ in range(3))
    assert len(looks) == 15


def test_patience_grows_short_with_a_crowded_machine_and_comes_back():
    busy, quiet = (
        host_noise.judge_host([1.0] * 15, [9] * 15, cores=2),
        host_noise.judge_host([1.0] * 15, [0] * 15, cores=2),
    )
    looks: list[int] = []
    pauses: list[float] = []
    states = iter([busy] * 5 + [busy] * 2 + [busy] + [quiet] + [busy] * 3 + [quiet])
    patience = host_noise.QuietHostWaiter(lambda: looks.append(1) or next(states), pauses.append)
    waits = []
    for _ in range(5):
        waits.append((bool(patience.wait()), len(looks), len(pauses)))
    assert waits == [(True, 5, 4), (True, 7, 5), (True, 8, 5), (False, 9, 5), (False, 13, 8)]
