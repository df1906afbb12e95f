"""Layers and models of its own, as a user's module would define them."""

import keras
from keras import layers


@keras.saving.register_keras_serializable("zoo")
class Scale(layers.Layer):
    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="random_uniform")

    def call(self, inputs):
        return inputs * self.factor


@keras.saving.register_keras_serializable("zoo")
class TwoHeads(keras.Model):
    """Subclassed, named inputs, a dict of outputs, dropout and batch norm that must be in inference mode."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.norm = layers.Conv2D(16, 3), layers.BatchNormalization()
        self.drop, self.head = layers.Dropout(0.5), layers.Dense(5)

    def call(self, inputs, training=False):
        found = self.norm(self.conv(inputs["image"]), training=training)
        pooled = keras.ops.mean(self.drop(found, training=training), axis=(1, 2))
        return {"logits": self.head(pooled) + inputs["bias"], "features": pooled}
