import Foundation

/// A tensor of a model's file, by its name there.
public struct Port {
  public let name: String
  public let edge: Edge
}

/// The tensors that an engine feeds and reads.
public struct Ports {
  public let inputs: [Port]
  public let outputs: [Port]
}

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
    decide(Contract.outputs[0], try predict(raw)[0], count)
  }
}

/// Scores below `threshold` are no answer. `temperature` 0: none; `logits`: scores are not probabilities yet.
public struct Decision {
  public let threshold: Float?
  public let temperature: Float
  public let logits: Bool
}

/// The best answers of scores, which a temperature makes as sure as they are right; none below the threshold.
/// A score with two labels is one answer: the second label from the threshold on.
public func decide(_ output: Output, _ scores: [Float], _ count: Int) -> [(index: Int, label: String, score: Float)] {
  let lowest = output.decision.threshold ?? -Float.infinity
  if scores.count == 1 && output.labels.count == 2 {
    let index = scores[0] >= lowest ? 1 : 0
    return [(index, output.labels[index], scores[0])]
  }
  let shares = output.decision.temperature > 0 ? calibrate(output.decision, scores) : scores
  return top(shares, count, labels: output.labels).filter { $0.score >= lowest }
}

/// CRC-32, as zip's.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  var sum = UInt32.max
  for byte in bytes {
    sum ^= UInt32(byte)
    for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xedb8_8320 : 0) }
  }
  return ~sum
}

/// softmax(z / temperature), of logits z or of the logarithms of probabilities.
func calibrate(_ decision: Decision, _ scores: [Float]) -> [Float] {
  let most = Double(scores.max() ?? 1)
  let powers: [Double] = scores.map { score in
    let below = decision.logits ? Double(score) - most : log(Double(score) / most)
    return exp(below / Double(decision.temperature))
  }
  let total = powers.reduce(0, +)
  return powers.map { Float($0 / total) }
}
