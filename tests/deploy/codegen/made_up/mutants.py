"""What apps get wrong, done to generated clients: replacements in their files, by language and fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

AREA_C = "static void resize_area(const es_input *in, const picture *p, workspace *w, float *tensor) {\n"
NEAREST_C = (
    AREA_C
    + """  for (int t = 0; in->channels && t < in->height; t++) {
    const uint8_t *row = read_row(in, p, t * p->height / in->height, w->row[0]);
    for (int i = 0; i < in->width * in->channels; i++)
      w->line[i] = row[i / in->channels * p->width / in->width * in->channels + i % in->channels];
    write_line(in, w->line, w->levels, t, tensor);
  }
  if (in->channels) return;
"""
)
AREA_PYTHON = "def _resize_area(given: Input, picture: Array, border: int) -> Array:\n"
NEAREST_PYTHON = (
    AREA_PYTHON
    + """    if picture.size:
        rows = np.arange(given.height) * picture.shape[0] // given.height
        return np.asarray(picture[rows][:, np.arange(given.width) * picture.shape[1] // given.width])
"""
)
AREA_TYPESCRIPT = "function resizeArea(steps: PictureSteps, plane: Plane, border: number): Uint8Array {\n"
NEAREST_TYPESCRIPT = (
    AREA_TYPESCRIPT
    + """  if (plane.values.length) {
    const row = steps.width * plane.channels;
    return Uint8Array.from({length: steps.height * row}, (_, at) => {
      const y = Math.floor((Math.floor(at / row) * plane.height) / steps.height);
      const x = Math.floor((Math.floor((at % row) / plane.channels) * plane.width) / steps.width);
      return plane.values[(y * plane.width + x) * plane.channels + (at % plane.channels)]!;
    });
  }
"""
)
AREA_KOTLIN = "private fun resizeArea(steps: PictureSteps, plane: Plane, border: Int): IntArray {\n"
NEAREST_KOTLIN = (
    AREA_KOTLIN
    + """    if (plane.values.isNotEmpty()) {
        val row = steps.width * plane.channels
        return IntArray(steps.height * row) {
            val y = it / row * plane.height / steps.height
            val x = it % row / plane.channels * plane.width / steps.width
            plane.values[(y * plane.width + x) * plane.channels + it % plane.channels]
        }
    }
"""
)
SWIFT = "Sources/Client"
AREA_SWIFT = "private func resizeArea(_ steps: PictureSteps, _ plane: Plane, _ border: Int) -> [Int] {\n"
NEAREST_SWIFT = (
    AREA_SWIFT
    + """  if !plane.values.isEmpty {
    let row = steps.width * plane.channels
    return (0..<steps.height * row).map { at -> Int in
      let y = at / row * plane.height / steps.height
      let x = at % row / plane.channels * plane.width / steps.width
      return plane.values[(y * plane.width + x) * plane.channels + at % plane.channels]
    }
  }
"""
)


@dataclass(frozen=True)
class Change:
    """In a file of the client, the one place that reads `old` becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, client: Path) -> None:
        path = client / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.old!r} stands {text.count(self.old)} times in {self.file}"
        path.write_text(text.replace(self.old, self.new))


MUTANTS: Mapping[str, Mapping[str, tuple[Change, ...]]] = {
    "c": {
        "channels swapped": (Change("contract.c", ".swap = 0", ".swap = 1"),),
        "range 0 to 1": (Change("contract.c", "multiply_0[] = {1.0f}", "multiply_0[] = {0.003921569f}"),),
        "mean and std of another model": (
            Change("contract.c", "multiply_0[] = {1.0f}", "multiply_0[] = {0.017f}"),
            Change("contract.c", "add_0[] = {0.0f}", "add_0[] = {-2.1f}"),
        ),
        "transposed": (Change("edgeship.c", "raw->height, raw->width);", "raw->width, raw->height);"),),
        "EXIF ignored": (Change("edgeship.c", "in->orient && raw->orientation ? raw->orientation : 1", "1"),),
        "nearest in place of area": (Change("edgeship.c", AREA_C, NEAREST_C),),
        "halves rounded up": (Change("edgeship.c", "nearbyint(steps)", "floor((double)steps + 0.5)"),),
        "labels off by one": (
            Change(
                "contract.c",
                '    "red",\n    "green",\n    "blue",\n',
                '    "green",\n    "blue",\n    "red",\n',
            ),
        ),
        "zero point forgotten": (Change("edgeship.c", "nearbyint(steps) + edge->zero_point", "nearbyint(steps)"),),
        "zero point of the output forgotten": (Change("edgeship.c", "(float)(q - edge->zero_point)", "(float)q"),),
        "NaN counted as low": (Change("counting/counter.c", "value != value ? bins->count + 1", "value != value ? 0"),),
    },
    "python": {
        "channels swapped": (Change("edgeship_client/contract.py", "swap=False", "swap=True"),),
        "range 0 to 1": (Change("edgeship_client/contract.py", "multiply=(1.0,)", "multiply=(1 / 255,)"),),
        "mean and std of another model": (
            Change("edgeship_client/contract.py", "multiply=(1.0,)", "multiply=(0.017,)"),
            Change("edgeship_client/contract.py", "add=(0.0,)", "add=(-2.1,)"),
        ),
        "transposed": (
            Change(
                "edgeship_client/selftest.py",
                "raw.reshape(form.height, form.width,",
                "raw.reshape(form.width, form.height,",
            ),
        ),
        "EXIF ignored": (Change("edgeship_client/contract.py", "orient=True", "orient=False"),),
        "nearest in place of area": (Change("edgeship_client/core.py", AREA_PYTHON, NEAREST_PYTHON),),
        "halves rounded up": (
            Change(
                "edgeship_client/core.py",
                "np.rint(steps.astype(np.float64))",
                "np.floor(steps.astype(np.float64) + 0.5)",
            ),
        ),
        "labels off by one": (
            Change(
                "edgeship_client/contract.py",
                '            "red",\n            "green",\n            "blue",\n',
                '            "green",\n            "blue",\n            "red",\n',
            ),
        ),
        "zero point forgotten": (
            Change(
                "edgeship_client/core.py",
                "np.float64)) + edge.zero_point",
                "np.float64))",
            ),
        ),
        "zero point of the output forgotten": (
            Change("edgeship_client/core.py", "(values.astype(np.int32) - edge.zero_point)", "values.astype(np.int32)"),
        ),
        "NaN counted as low": (
            Change("edgeship_client/counting/tensors.py", "-1 if isnan(value)", "0 if isnan(value)"),
        ),
    },
    "typescript": {
        "channels swapped": (Change("src/contract.ts", "swap: false", "swap: true"),),
        "range 0 to 1": (Change("src/contract.ts", "multiply: [1.0]", "multiply: [1 / 255]"),),
        "mean and std of another model": (
            Change("src/contract.ts", "multiply: [1.0]", "multiply: [0.017]"),
            Change("src/contract.ts", "add: [0.0]", "add: [-2.1]"),
        ),
        "transposed": (
            Change(
                "src/core.ts",
                "turned ? u * raw.width + v : v * raw.width + u",
                "turned ? v * raw.height + u : u * raw.height + v",
            ),
        ),
        "EXIF ignored": (Change("src/contract.ts", "orient: true", "orient: false"),),
        "nearest in place of area": (Change("src/core.ts", AREA_TYPESCRIPT, NEAREST_TYPESCRIPT),),
        "halves rounded up": (Change("src/core.ts", "if (value - floor !== 0.5) return", "if (value) return"),),
        "labels off by one": (
            Change(
                "src/contract.ts",
                '      "red",\n      "green",\n      "blue",\n',
                '      "green",\n      "blue",\n      "red",\n',
            ),
        ),
        "zero point forgotten": (
            Change("src/core.ts", "roundHalfEven(steps) + edge.zeroPoint", "roundHalfEven(steps)"),
        ),
        "zero point of the output forgotten": (
            Change("src/core.ts", "Math.fround(value - edge.zeroPoint)", "Math.fround(value)"),
        ),
        "NaN counted as low": (
            Change("src/counting/counter.ts", "value !== value ? edges.length + 1", "value !== value ? 0"),
        ),
    },
    "kotlin": {
        "channels swapped": (Change("src/Contract.kt", "swap = false", "swap = true"),),
        "range 0 to 1": (
            Change("src/Contract.kt", "multiply = floatArrayOf(1.0f)", "multiply = floatArrayOf(1f / 255f)"),
        ),
        "mean and std of another model": (
            Change("src/Contract.kt", "multiply = floatArrayOf(1.0f)", "multiply = floatArrayOf(0.017f)"),
            Change("src/Contract.kt", "add = floatArrayOf(0.0f)", "add = floatArrayOf(-2.1f)"),
        ),
        "transposed": (
            Change(
                "src/Core.kt", "u * raw.width + v else v * raw.width + u", "v * raw.height + u else u * raw.height + v"
            ),
        ),
        "EXIF ignored": (Change("src/Contract.kt", "orient = true", "orient = false"),),
        "nearest in place of area": (Change("src/Core.kt", AREA_KOTLIN, NEAREST_KOTLIN),),
        "halves rounded up": (
            Change("src/Core.kt", "Math.rint(steps.toDouble())", "Math.floor(steps.toDouble() + 0.5)"),
        ),
        "labels off by one": (
            Change(
                "src/Contract.kt",
                '                        "red",\n                        "green",\n                        "blue",\n',
                '                        "green",\n                        "blue",\n                        "red",\n',
            ),
        ),
        "zero point forgotten": (Change("src/Core.kt", "toDouble()) + edge.zeroPoint", "toDouble())"),),
        "zero point of the output forgotten": (Change("src/Core.kt", "(quantized - edge.zeroPoint)", "quantized"),),
        "NaN counted as low": (
            Change("src/counting/Counter.kt", "if (figures[at].isNaN()) edges.size + 1", "if (figures[at].isNaN()) 0"),
        ),
    },
    "swift": {
        "channels swapped": (Change(f"{SWIFT}/Contract.swift", "swap: false", "swap: true"),),
        "range 0 to 1": (Change(f"{SWIFT}/Contract.swift", "multiply: [1.0]", "multiply: [1 / 255]"),),
        "mean and std of another model": (
            Change(f"{SWIFT}/Contract.swift", "multiply: [1.0]", "multiply: [0.017]"),
            Change(f"{SWIFT}/Contract.swift", "add: [0.0]", "add: [-2.1]"),
        ),
        "transposed": (
            Change(
                f"{SWIFT}/Core.swift",
                "u * raw.width + v : v * raw.width + u",
                "v * raw.height + u : u * raw.height + v",
            ),
        ),
        "EXIF ignored": (Change(f"{SWIFT}/Contract.swift", "orient: true", "orient: false"),),
        "nearest in place of area": (Change(f"{SWIFT}/Core.swift", AREA_SWIFT, NEAREST_SWIFT),),
        "halves rounded up": (
            Change(f"{SWIFT}/Core.swift", ".rounded(.toNearestOrEven)", ".advanced(by: 0.5).rounded(.down)"),
        ),
        "labels off by one": (
            Change(
                f"{SWIFT}/Contract.swift",
                '        "red",\n        "green",\n        "blue",\n',
                '        "green",\n        "blue",\n        "red",\n',
            ),
        ),
        "zero point forgotten": (Change(f"{SWIFT}/Core.swift", " + Double(edge.zeroPoint)", ""),),
        "zero point of the output forgotten": (
            Change(f"{SWIFT}/Core.swift", "quantized - edge.zeroPoint", "quantized"),
        ),
        "NaN counted as low": (
            Change(f"{SWIFT}/counting/Counter.swift", "figures[at].isNaN ? edges.count + 1", "figures[at].isNaN ? 0"),
        ),
    },
}
