"""The `.tflite` that an app takes as it is: TFLite Metadata in the file, and three channels where a reader wants no other."""
