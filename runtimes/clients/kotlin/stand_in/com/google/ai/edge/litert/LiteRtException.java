package com.google.ai.edge.litert;

/** Stand-in for the class of that name in the AAR: no RuntimeException. */
public final class LiteRtException extends Exception {
  private static final long serialVersionUID = 1;

  public LiteRtException(String message) {
    super(message);
  }
}
