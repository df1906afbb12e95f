"""Load with everything that clients do wrong at once: no wrong answer, no good request dropped, memory flat."""

import os
import sys

import numpy as np
import pytest

from edgeship import api
from tests.serving.rest.conftest import KEY
from tests.serving.rest.load import Load
from tests.serving.rest.small_bundles import write_bundle

# As long as somebody asks for: EDGESHIP_LOAD_SECONDS=600 with a reload every minute.
SECONDS = float(os.environ.get("EDGESHIP_LOAD_SECONDS", "30"))


@pytest.mark.more
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_bad_clients_cost_good_ones_nothing(installed_server, tiny_models, tmp_path, images, expected):
    place, spare, keys = tmp_path / "cnn", tmp_path / "spare", tmp_path / "keys"
    write_bundle(tiny_models, place, recommended="tflite/float32")
    write_bundle(tiny_models, spare, recommended="onnx/float32")
    keys.write_text(KEY)

    def swap() -> None:
        place.rename(tmp_path / "aside")
        spare.rename(place)
        (tmp_path / "aside").rename(spare)

    wanted = [np.stack([answer[0] for answer in expected[version][:-1]]) for version in ("1", "3")]
    with api.open_server([place], port=0, grpc_port=None, api_key_file=keys, max_body_mb=1, timeout_s=3) as server:
        outcome = Load(server, images, wanted, SECONDS).run(min(SECONDS / 6, 60), swap)
    print(f"{outcome.good} answers, capacity {outcome.capacity:.0f}/s, {dict(outcome.refused)}, ")
    print(f"memory {outcome.memory[0] >> 20} to {outcome.memory[-1] >> 20} MB, growth {outcome.memory_growth():+.1%}")
    assert not outcome.wrong
    assert not outcome.dropped
    assert outcome.good > 100
    assert set(outcome.refused) <= {
        "vanished", "slow 408", "huge 413", "nonsense 400", "nonsense 200", "nonsense 404", "reloads",
    }, outcome.refused  # fmt: skip
    assert {"vanished", "slow 408", "huge 413", "nonsense 400", "reloads"} <= set(outcome.refused)
    assert abs(outcome.memory_growth()) < 0.05
