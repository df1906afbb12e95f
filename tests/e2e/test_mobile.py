"""The artifact for apps, through the command line: what it holds, and what cannot be one."""

import io
import zipfile

from edgeship.bundle import bundle


def test_labels_and_the_form_for_apps_are_in_the_file(shipped):
    manifest = bundle.open_bundle(shipped.bundle).manifest
    (entry,) = [item for item in manifest.artifacts if item.id == "tflite/mobile"]
    content = (shipped.bundle / entry.path).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split("\n") == list(manifest.labels or ())
    assert {spec.dtype for spec in (*entry.inputs, *entry.outputs)} == {"float32"}
    assert {spec.shape[0] for spec in (*entry.inputs, *entry.outputs)} == {1}
    assert entry.receipt
    assert (entry.receipt.int8_op_share or 0) > 0.8
    assert [step.name for step in entry.steps] == ["export", "convert.tflite", "quantize", "metadata"]
