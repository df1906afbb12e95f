package org.tensorflow.lite;

import java.nio.ByteBuffer;
import java.util.Map;

/** Stand-in for the class of that name in the AAR, over TensorFlow Lite's C library: what generated clients call. */
public final class Interpreter implements AutoCloseable {
  static {
    System.load(System.getProperty("edgeship.jni"));
  }

  /** How many threads. */
  public static class Options {
    private int threads = 1;

    public Options setNumThreads(int count) {
      threads = count;
      return this;
    }
  }

  private final ByteBuffer model; // read as long as the interpreter lives
  private final long handle;

  public Interpreter(ByteBuffer model, Options options) {
    this.model = model;
    handle = create(model, options.threads);
    if (handle == 0) {
      throw new IllegalArgumentException("not a model");
    }
  }

  public void allocateTensors() {
    if (allocate(handle) != 0) {
      throw new IllegalStateException("the tensors cannot be allocated");
    }
  }

  public Tensor getInputTensor(int index) {
    return tensor(input(handle, index));
  }

  public Tensor getOutputTensor(int index) {
    return tensor(output(handle, index));
  }

  public void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {
    int status = 0;
    for (int index = 0; index < inputs.length; index++) {
      status |= put(input(handle, index), (ByteBuffer) inputs[index]);
    }
    status |= invoke(handle);
    for (Map.Entry<Integer, Object> entry : outputs.entrySet()) {
      status |= get(output(handle, entry.getKey()), (ByteBuffer) entry.getValue());
    }
    if (status != 0) {
      throw new IllegalStateException("the interpreter failed");
    }
  }

  @Override
  public void close() {
    delete(handle);
  }

  private static Tensor tensor(long tensor) {
    if (tensor == 0) {
      throw new IllegalArgumentException("no such tensor");
    }
    return new Tensor() {
      @Override
      public DataType dataType() {
        return DataType.fromC(type(tensor));
      }

      @Override
      public int numBytes() {
        return (int) size(tensor);
      }

      @Override
      public QuantizationParams quantizationParams() {
        return new QuantizationParams(scale(tensor), zeroPoint(tensor));
      }
    };
  }

  private static native long create(ByteBuffer model, int threads);

  private static native int allocate(long interpreter);

  private static native int invoke(long interpreter);

  private static native void delete(long interpreter);

  private static native long input(long interpreter, int index);

  private static native long output(long interpreter, int index);

  private static native int type(long tensor);

  private static native long size(long tensor);

  private static native float scale(long tensor);

  private static native int zeroPoint(long tensor);

  private static native int put(long tensor, ByteBuffer bytes);

  private static native int get(long tensor, ByteBuffer bytes);
}
