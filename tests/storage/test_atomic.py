"""Places that take no file: what is raised tells why, whatever the operating system says of them."""

from pathlib import Path

import pytest

from edgeship.errors import CANNOT_WRITE, InputError
from edgeship.serving.rest.host.jobs.store import JobStore
from edgeship.storage.atomic import atomic_file, atomic_folder


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")
@pytest.mark.parametrize("name", ["/proc/out", "/proc/deep/er/out"])
def test_proc_takes_nothing(name: str) -> None:
    """It says of its folders that they are not there."""
    for writing in (atomic_file, atomic_folder):
        with pytest.raises(PermissionError) as error, writing(Path(name)):
            pass
        assert error.value.errno in CANNOT_WRITE
    with pytest.raises(InputError, match=f"--jobs {name}: cannot be"):
        JobStore(name)


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for writing in (atomic_file, atomic_folder):
        with pytest.raises(NotADirectoryError), writing(tmp_path / "file" / "out"):
            pass
