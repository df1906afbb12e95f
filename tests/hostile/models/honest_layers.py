"""A user's module with layers and functions, as --custom-objects names it; what it imports is not the models' to use."""

from shutil import rmtree  # noqa: F401

import keras
import tf_keras
from keras.ops import sin  # noqa: F401
from keras.utils import get_file  # noqa: F401


class Plain(tf_keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


@tf_keras.saving.register_keras_serializable("mine")
class Registered(tf_keras.layers.Layer):
    def call(self, inputs):
        return inputs * 3.0


class Plain3(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


@keras.saving.register_keras_serializable("mine")
class Registered3(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 3.0


@keras.saving.register_keras_serializable("mine")
def squared(inputs):
    return inputs * inputs


def tripled(inputs):
    return inputs * 3.0
