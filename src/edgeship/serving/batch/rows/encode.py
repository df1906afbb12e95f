"""Rows of a source as the inputs of an artifact by the steps of the contract: `deploy/contract/preprocess.py`, many at once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edgeship.data import Array, Batch
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input, scale_values
from edgeship.deploy.contract.steps import Affine
from edgeship.errors import InputError, brief_message
from edgeship.serving.batch.rows.columns import InputColumns, count_numbers, number_type
from edgeship.settings.inputs import Column
from edgeship.tables.reading import missing_texts, without_nan
from edgeship.untrusted import printable

EXIF_ORIENTATION = 274
MODES = {"1": "L", "L": "L", "LA": "RGBA", "P": "RGBA", "PA": "RGBA", "RGBA": "RGBA"}  # what others are read as: RGB


def encode_rows(inputs: Sequence[InputColumns], rows: Any, first: int) -> Batch:
    """The model's inputs by name, (n, ...), of a record batch of n rows. `first` is the number of its first row, from 1.

    Raises InputError, naming row and column, for a NULL, for what is no number, not finite, no known category or no picture.
    """
    encoded = {}
    for columns in inputs:
        arrays = [rows.column(name) for name in columns.names]
        values = _encode_input(columns, arrays, first)
        # The contract's steps give float32; a model's pixels or places of categories may be whole numbers.
        encoded[columns.item.name] = values.astype(columns.item.tensor.dtype, copy=False)
    return encoded


def _encode_input(columns: InputColumns, arrays: Sequence[Any], first: int) -> Array:
    item = columns.item
    if columns.form == "table":
        values = _encode_table(item.raw.columns, arrays, first)
    elif columns.form == "text":
        return _encode_texts(item, columns.names[0], arrays[0])
    elif item.kind == "image" and columns.form == "list" and _is_binary(arrays[0].type):
        return _decode_pictures(item, arrays[0], first)
    elif columns.form == "list":
        values = _read_lists(item, columns.names[0], arrays[0], first)
    else:
        parts = zip(columns.names, arrays, strict=True)
        values = np.stack([_read_numbers(name, array, number_type(item), first) for name, array in parts], axis=1)
    if item.kind in ("image", "audio"):
        return _encode_each(item, values, columns.names[0], first)
    shape = [1 if size is None else size for size in item.tensor.shape[1:]]
    if None in item.tensor.shape[1:]:
        shape = _free_shape(item, values.shape[1], columns.names[0])
    values = values.reshape(len(values), *shape)
    if affine := item.step(Affine):
        values = scale_values(affine, values)
    _check_finite(values, columns.names, first)
    return values


def _encode_table(columns: Sequence[Column], arrays: Sequence[Any], first: int) -> Array:
    """float32 (n, columns): numbers, and the places of categories among their values."""
    numbers = [
        _read_numbers(column.name, _fill_gaps(column, array), pa.float64(), first)
        if column.kind == "number"
        else _look_up(column, array, first)
        for column, array in zip(columns, arrays, strict=True)
    ]
    result = np.empty((len(arrays[0]), len(columns)), np.float32)
    with np.errstate(over="ignore"):
        for place, values in enumerate(numbers):
            result[:, place] = values
    return result


def _fill_gaps(column: Column, array: Any) -> Any:
    """A column of numbers with the contract's `missing` in place of NULL, NaN and texts for it; without one as it is."""
    if column.missing is None:
        return array
    if is_text := pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _without_missing_texts(pc.utf8_trim_whitespace(array.cast(pa.string())))
    else:
        array = without_nan(array.cast(pa.float64()))
    return array.fill_null(repr(column.missing) if is_text else column.missing)


def _without_missing_texts(texts: Any, but: Sequence[str] = ()) -> Any:
    """NULL in place of the texts that training takes for missing: the same CSV has to give the same rows. `but`: categories."""
    missing = pa.array([text for text in missing_texts() if not text or text not in but], pa.string())
    return pc.if_else(pc.is_in(texts, value_set=missing), None, texts)


def _read_numbers(name: str, array: Any, kind: Any, first: int) -> Array:
    refuse_null(name, array, first)
    if array.type == kind:
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    try:  # float32 of float64 loses digits, as it does in an app
        return np.asarray(array.cast(kind, safe=not pa.types.is_floating(kind)).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        place, value = _first_unfit(array, kind)
        what = "number" if pa.types.is_floating(kind) else "whole number"
        raise InputError(f"row {first + place:,}, column {printable(name)}: {value} is no {what}") from error


def _first_unfit(array: Any, kind: Any) -> tuple[int, str]:
    for place, value in enumerate(array):
        try:
            value.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return place, printable(brief_message(repr(value.as_py()), 60))
    return 0, str(array.type)


def _look_up(column: Column, array: Any, first: int) -> Array:
    texts = without_nan(array).cast(pa.string())
    if "" in column.values:  # what is missing is a category of its own: the contract's empty text
        texts = _without_missing_texts(texts, but=column.values).fill_null("")
    elif column.unknown is None:
        refuse_null(column.name, texts, first)
    places = pc.index_in(texts, value_set=pa.array(column.values, pa.string()))
    if places.null_count and column.unknown is None:
        place = pc.index(pc.is_null(places), True).as_py()
        value = printable(brief_message(repr(array[place].as_py()), 60))
        raise InputError(f"row {first + place:,}, column {printable(column.name)}: {value} is none of its values")
    return np.asarray(pc.fill_null(places, column.unknown or 0).to_numpy(zero_copy_only=False))


def _encode_texts(item: ContractInput, name: str, array: Any) -> Array:
    """(n, words): what training takes for missing is the empty text, as there."""
    try:
        texts = _without_missing_texts(without_nan(array).cast(pa.string())).fill_null("")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {printable(name)}: holds {array.type}, and the model takes a text") from error
    return np.concatenate([preprocess_input(item, text) for text in texts.to_pylist()])


def _read_lists(item: ContractInput, name: str, array: Any, first: int) -> Array:
    """(n, numbers of a list). Raises InputError for lists of different lengths, or of another than the model takes."""
    refuse_null(name, array, first)
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InputError(f"column {printable(name)}: holds {kind}, and the model's input '{item.name}' takes a list")
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    expected = count_numbers(item)
    size = int(lengths[0]) if expected is None else expected
    if (lengths != size).any():
        place = int(np.argmax(lengths != size))
        raise InputError(
            f"row {first + place:,}, column {printable(name)}: a list of {lengths[place]} numbers, not {size}"
        )
    flat = array.flatten()
    if flat.null_count:
        place = pc.index(pc.is_null(flat), True).as_py() // size
        raise InputError(f"row {first + place:,}, column {printable(name)}: a NULL in the list")
    return _read_numbers(name, flat, number_type(item), first).reshape(len(array), size)


def _free_shape(item: ContractInput, count: int, name: str) -> list[int]:
    """The shape of a sample of that many numbers, one of whose axes is free."""
    sizes = item.tensor.shape[1:]
    fixed = int(np.prod([size for size in sizes if size is not None], dtype=np.int64))
    if sizes.count(None) != 1 or not count or count % fixed:
        shape = "x".join("?" if size is None else str(size) for size in sizes)
        raise InputError(f"column {printable(name)}: lists of {count} numbers are no {shape} of input '{item.name}'")
    return [count // fixed if size is None else size for size in sizes]


def _check_finite(values: Array, names: Sequence[str], first: int) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        unfit = ~np.isfinite(values.reshape(len(values), -1))
        place, column = (int(axis[0]) for axis in np.nonzero(unfit))
        name = names[column] if len(names) > 1 else names[0]
        raise InputError(f"row {first + place:,}, column {printable(name)}: NaN or infinity; clean the data first")


def refuse_null(name: str, array: Any, first: int) -> None:
    """Raise InputError where a value is NULL, naming the row."""
    if array.null_count:
        place = pc.index(pc.is_null(array), True).as_py()
        raise InputError(f"row {first + place:,}, column {printable(name)}: is NULL, which the model does not take")


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _encode_each(item: ContractInput, values: Array, name: str, first: int) -> Array:
    """PCM or pixels, one sample at a time: their steps are of single samples."""
    form = "uint8" if item.kind == "image" else "int16"
    limits = np.iinfo(form)
    unfit = (values < limits.min) | (values > limits.max)
    if unfit.any():
        row, column = (int(axis[0]) for axis in np.nonzero(unfit))
        text = f"{values[row, column]} is beyond {limits.min} to {limits.max}"
        raise InputError(f"row {first + row:,}, column {printable(name)}: {text} of {item.raw.dtype}")
    if item.kind == "audio" and item.raw.channels and values.shape[1] % item.raw.channels:
        raise InputError(
            f"column {printable(name)}: {values.shape[1]} values are no PCM of {item.raw.channels} channels"
        )
    shape = (*item.tensor.shape[1:3], -1) if item.kind == "image" else (-1, item.raw.channels)
    return np.concatenate([preprocess_input(item, row.astype(form).reshape(shape)) for row in values])


def _decode_pictures(item: ContractInput, array: Any, first: int) -> Array:
    refuse_null(item.name, array, first)
    return np.concatenate([_decode_picture(item, value, first + place) for place, value in enumerate(array)])


def _decode_picture(item: ContractInput, value: Any, row: int) -> Array:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(value.as_py())) as picture:
            orientation = int(picture.getexif().get(EXIF_ORIENTATION, 1))
            mode = MODES.get(picture.mode, "RGB")
            pixels = np.asarray(picture.convert("RGB" if mode == "RGBA" and not item.raw.alpha else mode))
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        return preprocess_input(item, pixels, orientation if orientation in range(1, 9) else 1)
    except InputError:
        raise
    except Exception as error:  # a stranger's file makes a decoder fail in any way
        raise InputError(
            f"row {row:,}: no picture that can be read ({printable(brief_message(error, 100))})"
        ) from error


def check_rows(inputs: Sequence[InputColumns], rows: Any, first: int) -> Batch:
    """`encode_rows` of what is cheap: of pictures in files only the heads are looked at, and they are not in the result."""
    pictures = [columns for columns in inputs if is_picture_file(columns, rows)]
    for columns in pictures:
        _check_heads(columns.names[0], rows.column(columns.names[0]), first)
    return encode_rows([columns for columns in inputs if columns not in pictures], rows, first)


def is_picture_file(columns: InputColumns, rows: Any) -> bool:
    """Whether an input is fed with the bytes of pictures' files."""
    return (
        columns.item.kind == "image" and columns.form == "list" and _is_binary(rows.schema.field(columns.names[0]).type)
    )


def _check_heads(name: str, array: Any, first: int) -> None:
    from PIL import Image

    refuse_null(name, array, first)
    for place, value in enumerate(array):
        try:
            Image.open(io.BytesIO(value.as_py())).close()
        except Exception as error:  # see `_decode_picture`
            text = "no picture that can be read"
            raise InputError(f"row {first + place:,}: {text} ({type(error).__name__})") from error
