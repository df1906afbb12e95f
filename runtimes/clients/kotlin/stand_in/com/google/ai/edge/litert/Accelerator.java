package com.google.ai.edge.litert;

/** Stand-in for the enumeration of that name in the AAR. */
public enum Accelerator {
  NONE,
  CPU,
  GPU,
  NPU
}
