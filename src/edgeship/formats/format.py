"""What describes a format, for the files in `edgeship.formats.known`. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from edgeship.light_dataclass import dataclass

TENSORFLOW = ("tensorflow", "keras", "tf-keras")


@dataclass(frozen=True)
class RecipeSupport:
    """What a recipe does in a format: `how` in words, or the reason of its `refusal`; `data`: it needs calibration data."""

    how: str = ""
    refusal: str = ""
    data: bool = False


@dataclass(frozen=True)
class Format:
    """A format of artifacts. Functions of other packages stand as "module:function": they are called in other processes.

    - `rank` orders lists, `queue_rank` conversions: what takes longest to be quantized is converted first.
    - `file` is an artifact's file in a folder of its own; as "model/model.json", the folder below is the artifact.
    - `runtime` is the usual one; `matches` says whether a file or folder is of the format.
    - `converter` is `run(saved_model, out_file, **options)`, with `out_dir` for folders, made of the distributions `tools`, and
      returns a `types.ToolReport`; `options` are those that follow from a variant: its attributes, by the converter's names.
      `converter_setup()` is called before, in the parent process; `converter_modules` are imported ahead in the other one.
    - `calibrator` and `quantizer` take (but for `mixed`) and return what those of `.tflite` do; made of `quantizer_tools`, with
      `quantizer_modules` imported ahead. Without them the converter stores weights, as `weight_storage` says by recipe (option
      `weights`); its option `graph` is a folder where it leaves what artifacts with other weights share.
    - `receipt_reader` is `read(path)`; `reads_apart`: a stranger's file is read in a process of its own.
    - `recipes` are what it can be quantized to; `default_variants` are made of it unasked, beside float32 and int8.
    - `quantizer_options` are those of calibrated recipes that follow from a variant, as `options`.
    - `integer_io`: full-integer artifacts may have integers at their ends.
    - `integers` is the dtype that holds all whole numbers, where one does.
    - `target`: what runs it, as "servers", for a recommendation; its title where that is not told. `installed`: it is brought
      there once, so that its time counts and not its download.
    - `static_batch_refusal`: why no variant asks for a fixed batch; `sparse_encoding`: weights can be stored without zeros.
    """

    name: str
    title: str
    rank: int
    file: str
    runtime: str
    matches: Callable[[Path], bool]
    tools: tuple[str, ...]
    converter: str
    receipt_reader: str
    recipes: Mapping[str, RecipeSupport]
    options: Mapping[str, str] = field(default_factory=dict)
    converter_setup: str = ""
    converter_modules: tuple[str, ...] = ("tensorflow",)
    calibrator: str = ""
    quantizer: str = ""
    quantizer_modules: tuple[str, ...] = ()
    quantizer_tools: tuple[str, ...] = ()
    quantizer_options: Mapping[str, str] = field(default_factory=dict)
    weight_storage: Mapping[str, str] = field(default_factory=dict)
    reads_apart: bool = False
    default_variants: tuple[str, ...] = ()
    integer_io: bool = False
    integers: str | None = None
    static_batch_refusal: str = ""
    sparse_encoding: bool = False
    queue_rank: int = 1
    target: str = ""
    installed: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether an artifact is a folder of files."""
        return "/" in self.file

    @property
    def main_file(self) -> str:
        """The name of an artifact's file, or of the file in its folder that names the others."""
        return self.file.rpartition("/")[2]

    def place(self, path: Path) -> Path:
        """What an artifact consists of: its file, or the folder around it."""
        return path.parent if self.is_folder else path

    def path_in_bundle(self, variant: str) -> str:
        """Where a bundle has the file of a variant's artifact."""
        return f"{self.name}/{variant}/{self.main_file}" if self.is_folder else f"{self.name}/{variant}.{self.name}"
