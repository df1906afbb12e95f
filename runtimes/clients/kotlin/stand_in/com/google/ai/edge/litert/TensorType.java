package com.google.ai.edge.litert;

import java.util.List;

/** Stand-in for the class of that name in the AAR. */
public record TensorType(ElementType elementType, Layout layout) {
  /** The types that LiteRT's Kotlin knows: no UINT8. */
  public enum ElementType {
    INT,
    FLOAT,
    INT8,
    BOOLEAN,
    INT64
  }

  /** The shape. */
  public record Layout(List<Integer> dimensions) {
    public List<Integer> getDimensions() {
      return dimensions;
    }
  }

  public ElementType getElementType() {
    return elementType;
  }

  public Layout getLayout() {
    return layout;
  }
}
