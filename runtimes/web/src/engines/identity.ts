/** A string or message of protocol buffers: its field number, its length (below 128), its bytes. */
function field(number: number, ...bytes: number[]): number[] {
  return [(number << 3) | 2, bytes.length, ...bytes];
}

function text(number: number, value: string): number[] {
  return field(number, ...new TextEncoder().encode(value));
}

/** The smallest ONNX model there is, `y = Identity(x)` on one float (onnx.proto3: ModelProto, GraphProto, NodeProto). */
export function identity(): Uint8Array {
  const value = (name: string): number[] => [...text(1, name), ...field(2, ...field(1, 8, 1, ...field(2, ...field(1, 8, 1))))];
  const node = [...text(1, 'x'), ...text(2, 'y'), ...text(4, 'Identity')];
  const graph = [...field(1, ...node), ...text(2, 'g'), ...field(11, ...value('x')), ...field(12, ...value('y'))];
  return Uint8Array.from([8, 8, ...field(7, ...graph), ...field(8, 16, 13)]);
}
