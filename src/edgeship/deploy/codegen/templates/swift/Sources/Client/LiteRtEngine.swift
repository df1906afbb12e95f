#if canImport(LiteRT)
import Foundation
import LiteRT

/// LiteRT's own Swift package. `model`: the content of model.tflite, whose shapes are fixed, or of another file of this
/// client with its `ports`. Throws a `ClientError` where it is not that.
public final class LiteRtEngine: Engine {
  public let name = "LiteRT Swift"
  private let model: CompiledModel
  private let given: [TensorBuffer]
  private let taken: [TensorBuffer]
  private let inputPlaces: [Int]
  private let outputPlaces: [Int]
  private let ports: Ports

  public init(model content: [UInt8], ports: Ports = Contract.ports) throws {
    self.ports = ports
    do {
      let options = try Options()
      try options.setHardwareAccelerators([.cpu])
      let model = try CompiledModel(data: Data(content), environment: try Environment(), options: options)
      let inputs = try (0..<model.inputCount()).map { try model.inputName(inputIndex: $0) }
      let outputs = try (0..<model.outputCount()).map { try model.outputName(outputIndex: $0) }
      inputPlaces = ports.inputs.map { inputs.firstIndex(of: $0.name) ?? -1 }
      outputPlaces = ports.outputs.map { outputs.firstIndex(of: $0.name) ?? -1 }
      let types =
        try zip(ports.inputs, inputPlaces).map { (input, at) in
          try at >= 0 && fits(input.edge, model.getInputTensorType(inputIndex: at))
        }
        + zip(ports.outputs, outputPlaces).map { (output, at) in
          try at >= 0 && fits(output.edge, model.getOutputTensorType(outputIndex: at))
        }
      if types.contains(false) || inputs.count != inputPlaces.count {
        throw ClientError(description: "not the model that this client was generated for: its tensors differ")
      }
      (given, taken) = (try model.createInputBuffers(), try model.createOutputBuffers())
      self.model = model
    } catch let error as LiteRtError {
      throw ClientError(description: "not a model that this LiteRT runs: \(error)")
    }
  }

  public func run(_ inputs: [[UInt8]]) throws -> [[UInt8]] {
    for (place, bytes) in zip(inputPlaces, inputs) { try given[place].write(bytes) }
    try model.run(inputs: given, outputs: taken)
    return try zip(ports.outputs, outputPlaces).map { output, place in
      let bytes: [UInt8] = try taken[place].read()
      return Array(bytes.prefix(output.edge.size * output.edge.dtype.bytes))
    }
  }

  public func close() {}  // freed with the last reference
}

private func fits(_ edge: Edge, _ type: TensorType) -> Bool {
  let types: [ElementType] = [.float32, .int8, .uint8, .int16, .int32]
  return type.elementType == types[edge.dtype.rawValue] && type.layout.elementCount == edge.size
}
#endif
