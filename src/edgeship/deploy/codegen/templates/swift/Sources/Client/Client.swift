/// From raw data to an answer.
public struct Client {
  public let engine: Engine

  public init(_ engine: Engine) { self.engine = engine }

  /// The outputs for the raw data of each input. Throws a `ClientError` for what an input does not take.
  public func predict(_ raws: Raw...) throws -> [[Float]] {
    if raws.count != Contract.inputs.count { throw ClientError(description: "takes \(Contract.inputs.count) inputs") }
    return try answer(zip(Contract.inputs, raws).map { try preprocess($0, $1) })
  }

  /// The outputs for tensors as `preprocess` gives them.
  public func answer(_ tensors: [[Float]]) throws -> [[Float]] {
    let taken = try engine.run(zip(Contract.inputs, tensors).map { quantize($0.edge, $1) })
    return zip(Contract.outputs, taken).map { dequantize($0.edge, $1) }
  }

  /// The best answers of the first output.
  public func classify(_ raw: Raw, count: Int = 3) throws -> [(index: Int, label: String, score: Float)] {
    top(try predict(raw)[0], count, labels: Contract.outputs[0].labels)
  }
}
