package com.google.ai.edge.litert;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Stand-in for the class of that name in the AAR, over LiteRT's C library. */
public final class TensorBuffer implements AutoCloseable {
  final long handle;
  private final int bytes;

  TensorBuffer(long handle, int bytes) throws LiteRtException {
    this.handle = handle;
    this.bytes = bytes;
    if (handle == 0) {
      throw new LiteRtException("no buffer for that tensor");
    }
  }

  public void writeFloat(float[] data) throws LiteRtException {
    ByteBuffer memory = allocate(4 * data.length);
    memory.asFloatBuffer().put(data);
    write(memory);
  }

  public void writeInt(int[] data) throws LiteRtException {
    ByteBuffer memory = allocate(4 * data.length);
    memory.asIntBuffer().put(data);
    write(memory);
  }

  public void writeInt8(byte[] data) throws LiteRtException {
    ByteBuffer memory = allocate(data.length);
    memory.duplicate().put(data);
    write(memory);
  }

  public float[] readFloat() throws LiteRtException {
    float[] data = new float[bytes / 4];
    read().asFloatBuffer().get(data);
    return data;
  }

  public int[] readInt() throws LiteRtException {
    int[] data = new int[bytes / 4];
    read().asIntBuffer().get(data);
    return data;
  }

  public byte[] readInt8() throws LiteRtException {
    byte[] data = new byte[bytes];
    read().get(data);
    return data;
  }

  @Override
  public void close() {
    delete(handle);
  }

  private static ByteBuffer allocate(int size) {
    return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
  }

  private void write(ByteBuffer memory) throws LiteRtException {
    if (memory.capacity() != bytes || copy(handle, memory, bytes, false) != 0) {
      throw new LiteRtException("the buffer cannot be written");
    }
  }

  private ByteBuffer read() throws LiteRtException {
    ByteBuffer memory = allocate(bytes);
    if (copy(handle, memory, bytes, true) != 0) {
      throw new LiteRtException("the buffer cannot be read");
    }
    return memory;
  }

  private static native int copy(long buffer, ByteBuffer memory, int bytes, boolean read);

  private static native void delete(long buffer);
}
