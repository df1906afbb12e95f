package org.tensorflow.lite;

/** Stand-in for the interface of that name in the AAR: the methods that generated clients call. */
public interface Tensor {
  /** Scale 0 where the tensor is not quantized. */
  class QuantizationParams {
    private final float scale;
    private final int zeroPoint;

    public QuantizationParams(float scale, int zeroPoint) {
      this.scale = scale;
      this.zeroPoint = zeroPoint;
    }

    public float getScale() {
      return scale;
    }

    public int getZeroPoint() {
      return zeroPoint;
    }
  }

  DataType dataType();

  int numBytes();

  QuantizationParams quantizationParams();
}
