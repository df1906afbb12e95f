"""The bridge to tf_keras, in which the methods are written, and the proof that it changes nothing."""
