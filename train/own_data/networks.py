"""The networks for a person's own data: plain Keras 3 functional models, with their preprocessing inside as far as it goes.

Keras is imported where a network is built, so that a source can be read without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeship.train.dataset import Array
from edgeship.train.log_mel import make_fourier_kernels, make_mel_matrix
from edgeship.train.own_data.configuration import NetworkSize, SizeRange
from edgeship.train.own_data.samples import Samples, Target

NUMBERS, CATEGORIES, DATES = "numbers", "categories", "dates"
UNITS, BRANCHES = 96, 4  # of a table's network: so many units a layer, and networks side by side
EMBEDDING = 6
VECTORS, BRANCH = "vectors", "branch"  # how names of layers begin: of categories, and of a whole network of several
WORD_VECTOR = (
    16  # numbers a word becomes, as in TensorFlow's tutorials of small texts; the fourth root of 4,096 words is 8
)
MOST_BINS = 4096  # of all columns
QUANTILE_ROWS = 100_000  # that bins are found by
FRAME = 0.032  # seconds of sound that a spectrum is of; half of each is in the next one
LEVEL_SAMPLES = 300  # recordings that the level of each band is taken of
SILENCE = 1e-6  # the power (full scale: about 1) that the logarithm is kept above
PIECE = 8 << 20  # bytes of samples that are looked at at once
LARGE_SIDE = 48  # pixels from which on a picture is halved once more
PICTURE_FILTERS = (24, 48, 96, 128), (16, 32, 64, 96, 128)  # by block, of small pictures and of large ones
WINDOW_FILTERS, SOUND_FILTERS = (32, 48, 64, 96, 128), (16, 32, 48, 64, 96)
TABLE_SIZES = SizeRange(NetworkSize(1.0, 2, 0.1), (1 / 3, 4.0), (1, 4), (0.0, 0.5), (0, 96))
MANY_ROWS, USUAL_BINS = 2000, 48  # so many training rows tell quantiles well
TABLE_STEPS = 6000  # of a training: a step of a table is short, and what leaps along a number is learned slowly
CROSSED_BELOW = 20_000  # training rows of which none is spared that only validates
WINDOW_SIZES = SizeRange(NetworkSize(1.0, 3, 0.3), (0.5, 2.0), (2, 5), (0.0, 0.6))
SOUND_SIZES = SizeRange(NetworkSize(1.0, 3, 0.2), (0.5, 2.0), (2, 5), (0.0, 0.6))


def table_network(
    train: Samples,
    target: Target,
    size: NetworkSize,
    *,
    entries: int,
    calendar: Array | None = None,
    apart: bool = False,
    buckets: Mapping[str, int] = MappingProxyType({}),
) -> Any:
    """A network on `numbers` (n, columns), float32 in their own units, and `categories` (n, columns), int32 places in one list.

    `entries` is the length of that list; `dates` (n, columns) are int32 places in the `calendar`, float32 (places, features).
    Numbers are normalized by the training rows; a category becomes a learned vector, and a text those of its words, added up:
    `buckets` says of each input of word ids (n, words), int32, how many ids there are beside 0, which is none.
    Several small networks stand side by side and their scores are averaged: trained together they vary less than one
    (Gorishniy et al., "TabM", ICLR 2025, for that and for its strength beside boosted trees). A linear model beside them
    learns what is linear (Cheng et al., "Wide & Deep Learning", 2016). `apart`: the networks share nothing that is learned, and
    each has a linear model of its own, so that they can be trained on different rows (`fitting.fit_crossed`).
    """
    from keras import Input, Model, layers

    inputs = {
        name: Input((train.inputs[name].shape[1],), dtype="float32" if name == NUMBERS else "int32", name=name)
        for name in (NUMBERS, CATEGORIES, DATES, *buckets)
        if name in train.inputs
    }
    fixed = _fixed_features(inputs, train, size, calendar)

    def join_features(of: str) -> Any:
        parts = list(fixed)
        if CATEGORIES in inputs:
            vectors = layers.Embedding(entries, EMBEDDING, name=f"{VECTORS}{of}")(inputs[CATEGORIES])
            parts.append(layers.Flatten(name=f"flatten{of}")(vectors))
        for name, count in buckets.items():
            words = _sum_words(inputs[name], count, f"{name}_vectors{of}")
            parts.append(layers.Dropout(size.dropout, seed=0, name=f"{name}_dropout{of}")(words))
        return layers.Concatenate(name=f"row{of}")(parts) if len(parts) > 1 else parts[0]

    if apart:
        scores = []
        for branch in range(BRANCHES):
            features = join_features(str(branch))
            deep = _deep_score(features, target, size, branch, "zeros")
            linear = _score_layer(target, f"linear{branch}", "zeros")(features)
            scores.append(layers.Add(name=f"{BRANCH}{branch}")([deep, linear]))
        score = layers.Average(name="average")(scores)
    else:
        features = join_features("")
        deep = layers.Average(name="average")(
            [_deep_score(features, target, size, branch) for branch in range(BRANCHES)]
        )
        score = layers.Add(name="sum")([deep, _score_layer(target, "linear")(features)])
    return Model(list(inputs.values()), _answer(score, target), name="table_network")


def stack_branches(model: Any) -> Any:
    """The same network (a `table_network` whose branches are apart) that gives each branch's scores: (n, branches, outputs)."""
    from keras import Model, ops

    scores = [model.get_layer(f"{BRANCH}{branch}").output for branch in range(BRANCHES)]
    return Model(model.inputs, ops.stack(scores, axis=1))


def _fixed_features(inputs: Mapping[str, Any], train: Samples, size: NetworkSize, calendar: Array | None) -> list[Any]:
    """What is made of numbers and days by weights that are not learned."""
    from keras import layers

    parts = []
    if NUMBERS in inputs:
        parts.append(_normalize(inputs[NUMBERS], read_pieces(train, NUMBERS), "normalize"))
        if size.bins:
            parts.append(_encode_bins(parts[-1], train, size.bins))
    if DATES in inputs and calendar is not None:
        days = layers.Embedding(*calendar.shape, trainable=False, name="calendar")
        parts.append(layers.Flatten(name="days")(days(inputs[DATES])))
        days.set_weights([calendar])
    return parts


def _deep_score(features: Any, target: Target, size: NetworkSize, branch: int, start: str = "glorot_uniform") -> Any:
    """The scores of one of the small networks of a table, whose last weights `start` so."""
    from keras import layers

    hidden = features
    for depth in range(size.depth):
        units = _scale_count(UNITS, size)
        hidden = layers.Dense(units, activation="relu", name=f"hidden{branch}_{depth}")(hidden)
        hidden = layers.Dropout(size.dropout, seed=branch, name=f"dropout{branch}_{depth}")(hidden)
    return _score_layer(target, f"score{branch}", start)(hidden)


def _sum_words(ids: Any, buckets: int, name: str) -> Any:
    """The vectors of a text's words, added up over the root of their number: (n, WORD_VECTOR); of no word 0.

    A bag of words (Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017). Over the root, as the combiner
    `sqrtn` of TensorFlow's embedding lookups, long texts do not outweigh short ones, nor is one telling word lost in a long
    one. By plain operators: Keras' masks do not reach the formats of devices.
    """
    from keras import layers, ops

    most = ids.shape[1]
    vectors = layers.Embedding(buckets + 1, WORD_VECTOR, name=name)(ids)
    is_word = ops.cast(ops.minimum(ids, 1), "float32")
    total = ops.mean(vectors * ops.expand_dims(is_word, -1), axis=1)
    share = ops.maximum(ops.mean(is_word, axis=1, keepdims=True), 1 / most)
    return total / ops.sqrt(share / most)


def table_sizes(rows: int, numbers: int) -> SizeRange:
    """Of a table with so many training rows and columns of numbers; bins are usual where there are many rows.

    What a number means often changes by leaps along its range; that is what boosted trees are strong at, and what a network on
    plain numbers learns slowly (Gorishniy et al., NeurIPS 2022, as `_encode_bins` has it).
    """
    if not numbers:
        return replace(TABLE_SIZES, bins=(0, 0))
    return replace(TABLE_SIZES, usual=replace(TABLE_SIZES.usual, bins=USUAL_BINS if rows >= MANY_ROWS else 0))


def _encode_bins(normalized: Any, train: Samples, bins: int) -> Any:
    """How far each number is through each of its bins, from 0 to 1: (n, columns times bins); the bins are training quantiles.

    "Piecewise linear encoding" (Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022),
    as a layer of fixed weights and a clip, so that every format computes it alike.
    """
    from keras import layers

    looked_at = train.read(NUMBERS, slice(0, None, max(1, len(train) // QUANTILE_ROWS))).astype(np.float64)
    columns = looked_at.shape[1]
    bins = max(1, min(bins, MOST_BINS // columns))
    mean, variance = measure_moments(read_pieces(train, NUMBERS))
    scale = np.where(variance > 0, np.sqrt(variance), 1)
    ends = (np.quantile(looked_at, np.linspace(0, 1, bins + 1), axis=0) - mean) / scale
    widths = np.diff(ends, axis=0)
    slopes = np.divide(1, widths, out=np.zeros_like(widths), where=widths > 1e-6)  # an empty bin stays 0
    kernel = np.zeros((columns, columns, bins), np.float32)
    kernel[np.arange(columns), np.arange(columns)] = slopes.T
    layer = layers.Dense(columns * bins, trainable=False, name="bins")
    places = layer(normalized)
    layer.set_weights([kernel.reshape(columns, -1), (-ends[:-1] * slopes).T.reshape(-1).astype(np.float32)])
    return layers.ReLU(max_value=1.0, name="through_bins")(places)


def picture_sizes(shape: Sequence[int]) -> SizeRange:
    """Of pictures (height, width, channels): large ones are halved once more, and none more often than their sides allow."""
    side = min(shape[:2])
    most = max(1, min(4 + (side >= LARGE_SIDE), side.bit_length() - 1))
    usual = min(most, 3 + (side >= LARGE_SIDE))
    return SizeRange(NetworkSize(1.0, usual, 0.2), (0.5, 2.0), (min(2, usual), most), (0.0, 0.6))


def picture_network(train: Samples, target: Target, size: NetworkSize) -> Any:
    """A small convolutional network on bytes (n, height, width, 1 or 3) as float32, 0 to 255."""
    from keras import Input, Model, layers

    ((name, pictures),) = train.inputs.items()
    picture = Input(pictures.shape[1:], name=name)
    features = layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(picture)
    filters = PICTURE_FILTERS[min(pictures.shape[1:3]) >= LARGE_SIDE][: size.depth]
    for number, usual in enumerate(filters, 1):
        count = _scale_count(usual, size)
        features = _convolve(layers.Conv2D(count, 3, padding="same", use_bias=False, name=f"conv{number}"), features)
        features = layers.MaxPooling2D(name=f"pool{number}")(features)
    features = layers.GlobalAveragePooling2D(name="mean")(features)
    features = layers.Dropout(size.dropout, seed=0, name="dropout")(features)
    return Model(picture, _answer(_score_layer(target, "score")(features), target), name="picture_network")


def window_network(train: Samples, target: Target, size: NetworkSize) -> Any:
    """A small 1-D convolutional network on sensor windows (n, time, channels), float32 in their own units."""
    from keras import Input, Model, layers

    ((name, windows),) = train.inputs.items()
    window = Input(windows.shape[1:], name=name)
    features = _normalize(window, read_pieces(train, name), "normalize")
    for number, usual in enumerate(WINDOW_FILTERS[: size.depth], 1):
        count = _scale_count(usual, size)
        features = _convolve(layers.Conv1D(count, 7, padding="same", use_bias=False, name=f"conv{number}"), features)
        if features.shape[1] >= 4:
            features = layers.MaxPooling1D(2, name=f"pool{number}")(features)
    features = layers.GlobalAveragePooling1D(name="mean")(features)
    features = layers.Dropout(size.dropout, seed=0, name="dropout")(features)
    return Model(window, _answer(_score_layer(target, "score")(features), target), name="window_network")


def sound_network(train: Samples, target: Target, size: NetworkSize, *, rate: int) -> Any:
    """A small convolutional network on the log-mel spectrum of PCM (n, values), float32 of 16 bits: -32768 to 32767.

    The spectrum is made by convolutions whose kernels never change: a Hann window times cosines and sines, then a matrix that
    adds the powers up to mel bands. So every format computes it alike, and no app has to.
    """
    from keras import Input, Model, layers, ops

    ((name, sounds),) = train.inputs.items()
    length = sounds.shape[1]
    frame = min(round(FRAME * rate), length)
    waves, bands = make_fourier_kernels(frame), make_mel_matrix(frame, rate)
    sound = Input((length,), name=name)
    values = layers.Reshape((length, 1), name="values")(layers.Rescaling(1 / 32768, name="rescale")(sound))
    powers = []
    for part, kernel in zip(("cosine", "sine"), waves, strict=True):
        layer = layers.Conv1D(
            kernel.shape[2], frame, strides=max(1, frame // 2), use_bias=False, trainable=False, name=part
        )
        parts = layer(values)
        layer.set_weights([kernel])
        powers.append(layers.Multiply(name=f"{part}_power")([parts, parts]))
    to_bands = layers.Dense(bands.shape[1], use_bias=False, trainable=False, name="mel")
    energies = to_bands(layers.Add(name="power")(powers))
    to_bands.set_weights([bands])
    spectrum = ops.log(layers.Rescaling(1.0, offset=SILENCE, name="above_silence")(energies))
    heard = train.feeds(slice(0, None, max(1, len(train) // LEVEL_SAMPLES)))
    features = _normalize(spectrum, [Model(sound, spectrum).predict(heard, verbose=0)], "level")
    features = layers.Reshape((*features.shape[1:], 1), name="picture")(features)
    for number, usual in enumerate(SOUND_FILTERS[: size.depth], 1):
        count = _scale_count(usual, size)
        features = _convolve(layers.Conv2D(count, 3, padding="same", use_bias=False, name=f"conv{number}"), features)
        if min(features.shape[1:3]) >= 2:
            features = layers.MaxPooling2D(name=f"pool{number}")(features)
    features = layers.GlobalAveragePooling2D(name="mean")(features)
    features = layers.Dropout(size.dropout, seed=0, name="dropout")(features)
    return Model(sound, _answer(_score_layer(target, "score")(features), target), name="sound_network")


def tensor_network(train: Samples, target: Target, size: NetworkSize) -> Any:
    """The network for the shape that samples have: pictures, windows, or rows of numbers."""
    rank = max(array.ndim for array in train.inputs.values())
    if rank == 4:
        return picture_network(train, target, size)
    return window_network(train, target, size) if rank == 3 else table_network(train, target, size, entries=0)


def tensor_sizes(shape: Sequence[int]) -> SizeRange:
    """The sizes of `tensor_network` for samples of this shape, without the axis of samples."""
    if len(shape) == 3:
        return picture_sizes(shape)
    return WINDOW_SIZES if len(shape) == 2 else TABLE_SIZES


def read_pieces(samples: Samples, name: str) -> Iterator[Array]:
    """An input of the samples, a few megabytes at a time."""
    each = max(1, PIECE // max(1, samples.read(name, slice(0, 1)).nbytes))
    return (samples.read(name, slice(start, start + each)) for start in range(0, len(samples), each))


def measure_moments(pieces: Iterable[Array]) -> tuple[Array, Array]:
    """Mean and variance of each of the last axis over all pieces, float64 (Chan, Golub and LeVeque 1979, for joining two)."""
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for piece in pieces:
        values = piece.reshape(-1, piece.shape[-1]).astype(np.float64)
        own, gap = len(values), values.mean(axis=0) - mean
        squares = squares + np.square(values - values.mean(axis=0)).sum(axis=0) + gap**2 * count * own / (count + own)
        mean, count = mean + gap * own / (count + own), count + own
    return mean, squares / count


def _normalize(tensor: Any, pieces: Iterable[Array], name: str) -> Any:
    """The tensor less its training mean, by its deviation, each of the last axis; what never changes stays 0."""
    from keras import layers

    mean, variance = measure_moments(pieces)
    variance[variance == 0] = 1
    return layers.Normalization(axis=-1, mean=mean, variance=variance, name=name)(tensor)


def _scale_count(usual: int, size: NetworkSize) -> int:
    """Units of a layer, a multiple of eight, which kernels are quickest with; the usual number at a width of 1."""
    return max(8, round(usual * size.width / 8) * 8)


def _convolve(layer: Any, features: Any) -> Any:
    from keras import layers

    normalized = layers.BatchNormalization(momentum=0.9, name=f"norm_{layer.name}")(layer(features))
    return layers.ReLU(name=f"relu_{layer.name}")(normalized)


def _score_layer(target: Target, name: str, start: str = "glorot_uniform") -> Any:
    from keras import layers

    count = len(target.labels) if len(target.labels) > 2 else 1
    return layers.Dense(count, kernel_initializer=start, name=name)


def _answer(scores: Any, target: Target) -> Any:
    """Probabilities of classes, one of two labels' second, or the value in units of its deviation (see `restore_units`)."""
    from keras import layers

    if not target.is_class:
        return layers.Rescaling(1.0, name="value")(scores)
    if target.is_binary:
        return layers.Activation("sigmoid", name="probability")(scores)
    return layers.Softmax(name="probabilities")(scores)


def restore_units(model: Any, target: Target) -> Any:
    """A network that was trained on scaled values, with the answer in the target's own units; of classes the model as it is."""
    import keras

    if target.is_class:
        return model
    value = model.get_layer("value")
    scaled = keras.layers.Rescaling(target.deviation, offset=target.mean, name="value")(value.input)
    return keras.Model(model.inputs, scaled, name=model.name)
