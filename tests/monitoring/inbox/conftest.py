from pathlib import Path

import pytest

from tests.monitoring.inbox.samples import write_bundle_with_profile


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle_with_profile(tmp_path_factory.mktemp("reported") / "bundle")
