"""Weight clustering: few different values per tensor, so that the file compresses; TFMOT through the bridge, or in Keras 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgeship.errors import CheckError
from edgeship.optimize.bridge.bridge import NATIVE, BridgedLayer
from edgeship.optimize.bridge.graph import BridgeError
from edgeship.optimize.bridge.proof import bridge_with_proof
from edgeship.optimize.methods import preserve
from edgeship.optimize.receipt import ClusteredTensor, ClusterReceipt, TrainingHistory
from edgeship.optimize.training import loop
from edgeship.optimize.training.selection import SelectedTensor, select_tensors
from edgeship.optimize.training.trainable import TrainableModel
from edgeship.recipes.training import ClusterRecipe

Array = np.ndarray[Any, Any]
RATE = 0.1  # of the learning rate: shared values take the sum of their members' gradients
ROUNDS = 30  # of k-means; it settles in fewer


def cluster(
    trainable: TrainableModel, recipe: ClusterRecipe, task: loop.TrainingTask, patterns: Mapping[int, preserve.Pattern]
) -> ClusterReceipt:
    """Cluster the model in place while training it further; `patterns` are zeros that stay.

    Returns what the receipt says of it.
    """
    candidates = select_tensors(trainable.model, recipe.layers, "clustered")
    tensors = [item for item in candidates if len(np.unique(np.asarray(item.variable))) > recipe.clusters]
    small = [item.name for item in candidates if item not in tensors]
    try:
        history, why = _cluster_with_tfmot(trainable, tensors, recipe, task, patterns), None
    except BridgeError as error:
        why = str(error)
        history = _cluster_in_keras(trainable, tensors, recipe, task, patterns)
    return ClusterReceipt(
        engine="tfmot" if why is None else "shared values",
        why=why,
        asked=recipe.clusters,
        tensors=tuple(item.name for item in tensors),
        few_values_already=tuple(small),
        training=history,
    )


def _cluster_with_tfmot(
    trainable: TrainableModel,
    tensors: Sequence[SelectedTensor],
    recipe: ClusterRecipe,
    task: loop.TrainingTask,
    patterns: Mapping[int, preserve.Pattern],
) -> TrainingHistory:
    """Cluster through the bridge. Raises BridgeError where the model, or a chosen layer, cannot be taken there."""
    import tensorflow_model_optimization as tfmot
    import tf_keras
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import ClusteringRegistry
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    variable_ids = {id(item.variable) for item in tensors}
    wrappers: list[Any] = []

    def wrap_layer(bridged_layer: BridgedLayer) -> Any:
        own_ids = [id(item) for item in getattr(bridged_layer.source, "variables", ()) if id(item) in variable_ids]
        if not own_ids:
            return bridged_layer.layer
        if bridged_layer.how != NATIVE or not ClusteringRegistry.supports(bridged_layer.layer) or len(own_ids) > 1:
            raise BridgeError(
                f"TFMOT does not cluster layer '{bridged_layer.name}' ({type(bridged_layer.source).__name__})"
            )
        wrappers.append(
            cluster_weights(
                bridged_layer.layer,
                number_of_clusters=recipe.clusters,
                cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
                preserve_sparsity=own_ids[0] in patterns,
            )
        )
        return wrappers[-1]

    bridge, _ = bridge_with_proof(trainable.model, wrap_layer, exact=False)  # they share values from the start
    history = loop.fit(trainable.bridged_trainer(bridge, task.outputs), tf_keras, task, rate=RATE)
    for wrapper in wrappers:
        wrapper.update_clustered_weights_associations()
        for name, weight in wrapper.original_clusterable_weights.items():
            weight.assign(wrapper.get_weight_from_layer(name))
    bridge.copy_weights_back()
    return history


def _cluster_in_keras(
    trainable: TrainableModel,
    tensors: Sequence[SelectedTensor],
    recipe: ClusterRecipe,
    task: loop.TrainingTask,
    patterns: Mapping[int, preserve.Pattern],
) -> TrainingHistory:
    """Values are shared by k-means before training, and move together in it."""
    for item in tensors:
        item.variable.assign(share_values(np.asarray(item.variable), recipe.clusters))
    all_patterns = {**patterns, **preserve.read_patterns([item.variable for item in tensors], clusters=True)}
    pairs = [(item.variable, item.variable) for item in tensors]
    callbacks = [preserve.callback(keras, all_patterns, pairs)]
    return loop.fit(trainable.trainer(task.outputs), keras, task, callbacks=callbacks, rate=RATE)


def share_values(tensor: Array, clusters: int) -> Array:
    """The tensor with its values replaced by at most that many: k-means from quantiles; zeros stay zeros, as one of them."""
    from scipy.cluster.vq import kmeans2

    values = tensor[tensor != 0].astype(np.float64)
    count = clusters - bool(np.any(tensor == 0))
    start = np.unique(np.quantile(values, (np.arange(count) + 0.5) / count))
    centres, members = kmeans2(values, start, iter=ROUNDS, minit="matrix", missing="warn")
    result = np.zeros(tensor.shape, tensor.dtype)
    result[tensor != 0] = centres[members]
    return result


def check(model: Any, recipe: ClusterRecipe, names: Sequence[str]) -> tuple[ClusteredTensor, ...]:
    """Asked and achieved number of values per tensor, read from the model. Raises CheckError naming the tensors with more."""
    tensors = {item.name: np.asarray(item.variable) for item in select_tensors(model, (), "clustered")}
    counts = {name: len(np.unique(tensors[name])) for name in names}
    rows = tuple(ClusteredTensor(name, recipe.clusters, count) for name, count in counts.items())
    more = [f"{name} {count}" for name, count in counts.items() if count > recipe.clusters]
    if more:
        raise CheckError(f"asked for at most {recipe.clusters} values per tensor, got more in: {', '.join(more[:8])}")
    return rows
