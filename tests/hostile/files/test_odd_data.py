"""Data files that lie about what they hold, or unpack to too much, are refused in a sentence."""

from __future__ import annotations

import os
import zipfile

import pytest

from edgeship import cli, data
from edgeship.errors import EdgeshipError, InputError
from tests.hostile.files.command import call_as_command, check_refused
from tests.hostile.files.small_files import npy_bytes, write_npz


def test_an_array_of_arrays(tmp_path):
    """NumPy writes no such header, and reads it as an array of another shape."""
    header = b"{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (4,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(32))
    with pytest.raises(InputError, match=r"d\.npz: array 'x' is one of arrays"):
        list(data.RepresentativeDataset(tmp_path / "d.npz").batches(2))


@pytest.fixture
def dataset(monkeypatch):
    """Opens data, reads all of it, and says what came of it as the command line does."""

    def run(path, **environment):
        def call():
            try:
                samples = data.RepresentativeDataset(path)
                assert sum(1 for _ in samples.batches(64))
                samples.labels()
            except EdgeshipError as error:
                cli.exit_with_error(str(error), error.exit_code)

        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return call_as_command(call)

    return run


ARRAYS = {
    "negative": (npy_bytes("(-4, 4)"), "array 'x' is -4x4 float32 by its header"),
    "negative twice": (npy_bytes("(-4, -4)"), "by its header, but has 64 bytes"),
    "more than there is": (npy_bytes("(4, 1000000000000)"), "by its header, but has 64 bytes"),
    "overflow": (npy_bytes("(9223372036854775807, 9223372036854775807)"), "by its header"),
    "nothing, many times": (npy_bytes("(1000000000000000, 0)"), "no numbers in a sample"),
    "no size": (npy_bytes("(1000000000000000,)", "'|V0'"), "array 'x'"),
    "objects": (npy_bytes("(4,)", "'|O'"), "Python objects"),
    "objects within": (npy_bytes("(4,)", "[('a', '<f4'), ('b', '|O')]"), "Python objects"),
    "no shape": (npy_bytes("'four'"), "array 'x' cannot be read"),
    "deep": (npy_bytes("(" * 4000), "array 'x' cannot be read"),
    "a call": (npy_bytes("__import__('os').abort()"), "array 'x' cannot be read"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xff{", "array 'x' cannot be read"),
    "no array": (b"text", "array 'x' cannot be read"),
    "empty": (b"", "array 'x' cannot be read"),
}


@pytest.mark.parametrize("lie", ARRAYS)
def test_an_array_that_lies(lie, tmp_path, dataset):
    content, words = ARRAYS[lie]
    check_refused(dataset(write_npz(tmp_path / "d.npz", {"x.npy": content})), "d.npz", words)


def test_data_that_unpacks_to_too_much(tmp_path, dataset):
    zeros = npy_bytes("(100, 1000000)", "'|u1'", 100_000_000)
    bomb = write_npz(tmp_path / "bomb.npz", {"x.npy": zeros}, zipfile.ZIP_DEFLATED)
    check_refused(dataset(bomb), "bomb.npz: unpacks to 100,000,", "EDGESHIP_LIMITS=unpacked_ratio=")
    assert dataset(bomb, EDGESHIP_LIMITS="unpacked_ratio=2000").returncode == 0
    check_refused(dataset(bomb, EDGESHIP_LIMITS="unpacked_bytes=1000"), "EDGESHIP_LIMITS=unpacked_bytes=")
    small = write_npz(
        tmp_path / "small.npz", {"x.npy": npy_bytes("(10, 100000)", "'|u1'", 1_000_000)}, zipfile.ZIP_DEFLATED
    )
    assert dataset(small).returncode == 0, "a thousand times its size, and yet little"


def test_more_in_a_member_than_its_directory_says(tmp_path, dataset):
    """A directory that calls 100 MB two hundred bytes: no more than that is unpacked."""
    path = write_npz(
        tmp_path / "d.npz", {"x.npy": npy_bytes("(100, 1000000)", "'|u1'", 100_000_000)}, zipfile.ZIP_DEFLATED
    )
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (200).to_bytes(4, "little")
    path.write_bytes(content)
    check_refused(dataset(path), "d.npz: array 'x'")


def test_other_archives_and_numbers_of_files(tmp_path, dataset):
    whole = npy_bytes("(4, 4)")
    assert dataset(write_npz(tmp_path / "whole.npz", {"x.npy": whole})).returncode == 0
    for strange in ("x", "x.txt", "folder/", "x" * 60_000):  # what numpy would take for bytes
        check_refused(
            dataset(write_npz(tmp_path / "d.npz", {"x.npy": whole, strange: whole})),
            "d.npz: holds ",
            "which is no array",
        )
    packed = write_npz(tmp_path / "d.npz", {"x.npy": whole}, zipfile.ZIP_LZMA)
    check_refused(dataset(packed), "compressed in a way that numpy does not write")
    many = write_npz(tmp_path / "many.npz", {f"x{number}.npy": whole for number in range(30)})
    check_refused(
        dataset(many, EDGESHIP_LIMITS="files=20"), "many.npz: holds more than 20 files", "EDGESHIP_LIMITS=files="
    )
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.npz").symlink_to(tmp_path / "whole.npz")
    assert dataset(folder).returncode == 0, "links to data of one's own"
    check_refused(dataset(folder, EDGESHIP_LIMITS="files=20"), "more than 20 .npz files")
    os.mkfifo(folder / "a.npz")
    check_refused(dataset(folder), "a.npz: a pipe")
