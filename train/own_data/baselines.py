"""What a network has to beat: the commonest answer, a linear model, and boosted trees of tables (scikit-learn's).

Of texts the linear model has the TF-IDF of the same words, and the trees their principal components.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import OwnData, Target
from edgeship.train.own_data.sources.texts import BUCKETS

CONSTANT, LINEAR, TREES = "constant", "linear model", "boosted trees"
MOST_ROWS = 50_000  # that a baseline is trained on
MOST_PLACES = 255  # of a category that scikit-learn's trees take as such
MOST_FEATURES = 400  # of a linear model; of larger samples it takes that many principal components
WORD_COMPONENTS = 50  # of a text that trees take, which want few and dense features (latent semantic analysis)


def predict_baselines(data: OwnData, train: Array, rows: Array, seed: int) -> dict[str, Array]:
    """What each baseline says of `rows`, trained on the samples `train` (both int64): probabilities (n, classes), or values (n,).

    Of more than MOST_ROWS training samples they see so many, drawn by `seed`.
    """
    generator = np.random.default_rng(seed)
    if len(train) > MOST_ROWS:
        train = np.sort(generator.choice(train, MOST_ROWS, replace=False))
    features, asked = data.features(train), data.features(rows)
    categorical = np.array(data.categorical or [False] * features.shape[1], bool)
    models = {CONSTANT: _constant(data.target), LINEAR: _linear(data.target, features, categorical)}
    if data.trees:
        models[TREES] = _trees(data.target, features, categorical, seed)
    targets, words = data.targets[train], data.word_ids(train)
    if words:
        models = {name: _with_words(name, model, features.shape[1], words, seed) for name, model in models.items()}
        features, asked = np.concatenate([features, *words], 1), np.concatenate([asked, *data.word_ids(rows)], 1)
    return {name: _predict(model.fit(features, targets), asked, data.target) for name, model in models.items()}


def _with_words(name: str, model: Any, count: int, words: Sequence[Array], seed: int) -> Any:
    """The model on `count` features and, of the columns of word ids behind them, on how often each word comes (TF-IDF)."""
    from sklearn.compose import make_column_transformer
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    if name == CONSTANT:
        return model
    steps = list(model) if name == LINEAR else [model]
    own = make_pipeline(*steps[:-1]) if len(steps) > 1 else "passthrough"
    parts: list[tuple[Any, slice]] = [(own, slice(0, count))] if count else []
    for ids in words:
        counted = [FunctionTransformer(_count_words), TfidfTransformer(sublinear_tf=True)]
        if name == TREES:
            counted.append(TruncatedSVD(min(WORD_COMPONENTS, len(ids) - 1), random_state=seed))
        parts.append((make_pipeline(*counted), slice(count, count + ids.shape[1])))
        count += ids.shape[1]
    return make_pipeline(make_column_transformer(*parts), steps[-1])


def _count_words(ids: Array) -> Any:
    """How often each id comes in a row: a sparse matrix (rows, ids), without 0, which is no word."""
    from scipy.sparse import csr_array

    rows, places = np.nonzero(ids)
    shape = len(ids), BUCKETS + 1
    return csr_array((np.ones(len(rows), np.float32), (rows, ids[rows, places].astype(np.int64))), shape)


def _predict(model: Any, features: Array, target: Target) -> Array:
    if not target.is_class:
        return np.asarray(model.predict(features), np.float32)
    known = model.predict_proba(features)
    scores = np.zeros((len(features), len(target.labels)), np.float32)
    scores[:, model.classes_.astype(int)] = known  # a fold may lack a rare class
    return scores


def _constant(target: Target) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if target.is_class else DummyRegressor()


def _linear(target: Target, features: Array, categorical: Array) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, np.flatnonzero(~categorical)),
        (OneHotEncoder(handle_unknown="ignore"), np.flatnonzero(categorical)),
    )
    model = LogisticRegression(max_iter=500) if target.is_class else Ridge()
    if features.shape[1] > MOST_FEATURES:
        return make_pipeline(columns, PCA(min(MOST_FEATURES, len(features) - 1), random_state=0), model)
    return make_pipeline(columns, model)


def _trees(target: Target, features: Array, categorical: Array, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    few = np.array([column.size == 0 or np.nanmax(column) < MOST_PLACES for column in features.T], bool)
    kind = HistGradientBoostingClassifier if target.is_class else HistGradientBoostingRegressor
    return kind(
        categorical_features=np.flatnonzero(categorical & few), random_state=seed, early_stopping=len(features) > 1000
    )
