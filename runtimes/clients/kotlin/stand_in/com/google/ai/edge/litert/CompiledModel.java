package com.google.ai.edge.litert;

import java.util.Arrays;
import java.util.Map;

/** Stand-in for the class of that name in the AAR, over LiteRT's C library: what generated clients call. */
public final class CompiledModel implements AutoCloseable {
  static {
    System.load(System.getProperty("edgeship.jni.litert"));
  }

  /** On which hardware; here always the CPU. */
  public static final class Options {
    public Options(Accelerator... accelerators) {
      if (!Arrays.equals(accelerators, new Accelerator[] {Accelerator.CPU})) {
        throw new IllegalArgumentException("the stand-in knows the CPU");
      }
    }
  }

  private static final TensorType.ElementType[] TYPES = new TensorType.ElementType[10]; // by LiteRT's number

  static {
    TYPES[1] = TensorType.ElementType.FLOAT;
    TYPES[2] = TensorType.ElementType.INT;
    TYPES[4] = TensorType.ElementType.INT64;
    TYPES[6] = TensorType.ElementType.BOOLEAN;
    TYPES[9] = TensorType.ElementType.INT8;
  }

  private final long handle;

  private CompiledModel(long handle) throws LiteRtException {
    this.handle = handle;
    if (handle == 0) {
      throw new LiteRtException("not a model that this LiteRT runs");
    }
  }

  public static CompiledModel create(String filePath, Options options) throws LiteRtException {
    return new CompiledModel(open(filePath));
  }

  public TensorBuffer createInputBuffer(String inputName) throws LiteRtException {
    return buffer(inputName, true);
  }

  public TensorBuffer createOutputBuffer(String outputName) throws LiteRtException {
    return buffer(outputName, false);
  }

  public TensorType getInputTensorType(String inputName) throws LiteRtException {
    return type(find(inputName, true), true);
  }

  public TensorType getOutputTensorType(String outputName) throws LiteRtException {
    return type(find(outputName, false), false);
  }

  public void run(Map<String, TensorBuffer> inputs, Map<String, TensorBuffer> outputs) throws LiteRtException {
    if (run(handle, order(inputs, true), order(outputs, false)) != 0) {
      throw new LiteRtException("the model failed");
    }
  }

  @Override
  public void close() {
    delete(handle);
  }

  private TensorBuffer buffer(String name, boolean input) throws LiteRtException {
    int index = find(name, input);
    int[] form = form(handle, index, input);
    int size = form[0] == 9 || form[0] == 6 ? 1 : form[0] == 4 ? 8 : 4;
    for (int at = 1; at < form.length; at++) {
      size *= form[at];
    }
    return new TensorBuffer(create(handle, index, input, size), size);
  }

  private TensorType type(int index, boolean input) throws LiteRtException {
    int[] form = form(handle, index, input);
    if (form[0] >= TYPES.length || TYPES[form[0]] == null) {
      throw new LiteRtException("a type that LiteRT's Kotlin does not know");
    }
    int[] dimensions = Arrays.copyOfRange(form, 1, form.length);
    return new TensorType(TYPES[form[0]], new TensorType.Layout(Arrays.stream(dimensions).boxed().toList()));
  }

  private long[] order(Map<String, TensorBuffer> named, boolean input) throws LiteRtException {
    long[] ordered = new long[named.size()];
    for (Map.Entry<String, TensorBuffer> entry : named.entrySet()) {
      ordered[find(entry.getKey(), input)] = entry.getValue().handle;
    }
    return ordered;
  }

  private int find(String name, boolean input) throws LiteRtException {
    int index = find(handle, name, input);
    if (index < 0) {
      throw new LiteRtException("no tensor '" + name + "'");
    }
    return index;
  }

  private static native long open(String path);

  private static native int find(long model, String name, boolean input);

  /** LiteRT's number of the element type, then the dimensions. */
  private static native int[] form(long model, int index, boolean input);

  private static native long create(long model, int index, boolean input, int bytes);

  private static native int run(long model, long[] inputs, long[] outputs);

  private static native void delete(long model);
}
