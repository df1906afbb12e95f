package org.tensorflow.lite;

/** Stand-in for the class of that name in the AAR: the numbers are those of TensorFlow Lite's C API. */
public enum DataType {
  FLOAT32(1),
  INT32(2),
  UINT8(3),
  INT64(4),
  STRING(5),
  BOOL(6),
  INT16(7),
  INT8(9);

  private final int value;

  DataType(int value) {
    this.value = value;
  }

  static DataType fromC(int value) {
    for (DataType type : values()) {
      if (type.value == value) {
        return type;
      }
    }
    throw new IllegalArgumentException("type " + value);
  }
}
