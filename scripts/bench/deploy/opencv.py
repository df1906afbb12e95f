"""Preprocessing of a generated C client beside OpenCV's INTER_AREA: 1280x720 to 224x224, in one run, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from edgeship.runtimes.interpreters import pip_command

OPENCV = "opencv-python-headless==5.0.0.93"
ROUNDS, TIMES = 9, 40
BAR = 3.0
C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "edgeship.h"
int main(int count, char **arguments) {
  static const float one[] = {1.0f}, nothing[] = {0.0f};
  static uint8_t pixels[720 * 1280 * 3];
  static float tensor[224 * 224 * 3];
  const es_input input = {.name = "image", .kind = ES_IMAGE, .orient = 1, .flatten = -1, .resampler = ES_AREA, .fit = ES_STRETCH,
                          .height = 224, .width = 224, .channels = 3, .affine = 1, .multiply = one, .add = nothing,
                          .edge = {0, ES_FLOAT32, 224 * 224 * 3, 0.0f, 0}};
  const es_raw raw = {.data = pixels, .height = 720, .width = 1280, .channels = 3, .orientation = 1};
  const int times = count > 1 ? atoi(arguments[1]) : 1;
  void *scratch = malloc(es_scratch_size(&input, &raw) + 1);
  struct timespec begin, end;
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 13);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < times; i++)
    if (es_preprocess(&input, &raw, scratch, tensor)) return 1;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.9g\n", ((double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec)) / times);
  return 0;
}
"""
PYTHON_PROGRAM = """
import sys, time
import cv2, numpy
cv2.setNumThreads(1)
pixels = numpy.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=numpy.uint8)
for _ in range(3): cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA).astype(numpy.float32)
begin = time.perf_counter()
for _ in range(int(sys.argv[1])): cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA).astype(numpy.float32)
print((time.perf_counter() - begin) / int(sys.argv[1]))
"""


def compare_with_opencv(core: Path, folder: Path) -> str:
    """A sentence: the median of the ratios of runs in turn, each in a fresh process. `core`: the folder of edgeship.c."""
    (folder / "speed.c").write_text(C_PROGRAM, encoding="utf-8")
    sources = [str(folder / "speed.c"), str(core / "edgeship.c"), str(core / "table.c")]
    compiler = [
        "cc",
        "-std=gnu99",
        "-O2",
        "-Wall",
        "-Werror",
        f"-I{core}",
        *sources,
        "-o",
        str(folder / "speed"),
        "-lm",
    ]
    subprocess.run(compiler, check=True)
    subprocess.run(pip_command("--target", str(folder / "opencv"), OPENCV), check=True)
    paths = {"PYTHONPATH": str(folder / "opencv")}
    ratios, times = [], []
    for _ in range(ROUNDS):
        ours = _seconds([str(folder / "speed"), str(TIMES)], {})
        theirs = _seconds([sys.executable, "-c", PYTHON_PROGRAM, str(TIMES)], paths)
        ratios.append(ours / theirs)
        times.append((ours, theirs))
    ours, theirs = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    spread = f"{ROUNDS} pairs in turn, {min(ratios):.2f} to {max(ratios):.2f}; {ours:.1f} and {theirs:.1f} ms"
    return (
        "Preprocessing 1280 x 720 to 224 x 224 with `area` in C (one thread, to float32) took "
        f"{statistics.median(ratios):.2f} times as long as OpenCV's\nINTER_AREA with one thread and the same conversion "
        f"({spread}). The bar is {BAR:g}."
    )


def _seconds(command: list[str], variables: dict[str, str]) -> float:
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    return float(done.stdout)
