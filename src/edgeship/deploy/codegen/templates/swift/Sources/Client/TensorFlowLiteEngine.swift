#if canImport(TensorFlowLiteC)
import TensorFlowLiteC

/// TensorFlow Lite's C API: the pod TensorFlowLiteC. `model`: the content of model.tflite, or of another file of this
/// client with its `ports`. Throws a `ClientError` where it is not that.
public final class TensorFlowLiteEngine: Engine {
  public let name: String
  private let bytes: UnsafeMutableRawBufferPointer  // read as long as the interpreter lives
  private var interpreter: OpaquePointer?
  private var model: OpaquePointer?
  private let ports: Ports

  public init(model content: [UInt8], threads: Int32 = 2, ports: Ports = Contract.ports) throws {
    self.ports = ports
    name = "TFLite C \(String(cString: TfLiteVersion()))"
    bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
    bytes.copyBytes(from: content)
    model = TfLiteModelCreate(bytes.baseAddress, content.count)
    let options = TfLiteInterpreterOptionsCreate()
    TfLiteInterpreterOptionsSetNumThreads(options, threads)
    interpreter = model == nil ? nil : TfLiteInterpreterCreate(model, options)
    TfLiteInterpreterOptionsDelete(options)
    if interpreter == nil || TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk {
      throw ClientError(description: "not a model that this TensorFlow Lite runs")
    }
    let inputs = ports.inputs.map { fits($0.edge, TfLiteInterpreterGetInputTensor(interpreter, Int32($0.edge.index))) }
    let outputs = ports.outputs.map { fits($0.edge, TfLiteInterpreterGetOutputTensor(interpreter, Int32($0.edge.index))) }
    if (inputs + outputs).contains(false) {
      throw ClientError(description: "not the model that this client was generated for: its tensors differ")
    }
  }

  public func run(_ inputs: [[UInt8]]) throws -> [[UInt8]] {
    for (input, bytes) in zip(ports.inputs, inputs) {
      let tensor = TfLiteInterpreterGetInputTensor(interpreter, Int32(input.edge.index))
      try check(TfLiteTensorCopyFromBuffer(tensor, bytes, bytes.count))
    }
    try check(TfLiteInterpreterInvoke(interpreter))
    return try ports.outputs.map { output in
      var bytes = [UInt8](repeating: 0, count: output.edge.size * output.edge.dtype.bytes)
      let tensor = TfLiteInterpreterGetOutputTensor(interpreter, Int32(output.edge.index))
      try check(TfLiteTensorCopyToBuffer(tensor, &bytes, bytes.count))
      return bytes
    }
  }

  public func close() {
    if interpreter != nil { TfLiteInterpreterDelete(interpreter) }
    if model != nil { TfLiteModelDelete(model) }
    (interpreter, model) = (nil, nil)
  }

  deinit {
    close()
    bytes.deallocate()
  }

  private func fits(_ edge: Edge, _ tensor: OpaquePointer?) -> Bool {
    guard let tensor else { return false }
    let types = [kTfLiteFloat32, kTfLiteInt8, kTfLiteUInt8, kTfLiteInt16, kTfLiteInt32]
    let quantization = TfLiteTensorQuantizationParams(tensor)
    let same = TfLiteTensorType(tensor) == types[edge.dtype.rawValue]
    return same && TfLiteTensorByteSize(tensor) == edge.size * edge.dtype.bytes && quantization.scale == edge.scale
      && quantization.zero_point == Int32(edge.zeroPoint)
  }

  private func check(_ status: TfLiteStatus) throws {
    if status != kTfLiteOk { throw ClientError(description: "the interpreter failed") }
  }
}
#endif
