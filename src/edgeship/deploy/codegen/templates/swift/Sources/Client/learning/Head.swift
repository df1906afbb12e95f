import Foundation

// A head: its answers, how good they are, how it is trained, and which samples a step takes. The formulas are those of edgeship's own
// client; sums are doubles, and no random number is drawn, so that the same samples give the same head on every device.

/// What scores go through. Each has a loss whose gradient by the scores is answers - target.
public enum Activation { case softmax, sigmoid, linear }

/// A dense layer: `weights` (features, outputs), row by row, and `bias` (outputs).
public struct Head {
  public internal(set) var weights: [Float]
  public internal(set) var bias: [Float]

  var isFinite: Bool { weights.allSatisfy { $0.isFinite } && bias.allSatisfy { $0.isFinite } }

  /// The scores of the features from `start` on.
  func computeScores(_ features: [Float], from start: Int = 0) -> [Double] {
    var scores = bias.map(Double.init)
    let (width, outputs) = (weights.count / bias.count, bias.count)
    features.withUnsafeBufferPointer { features in
      weights.withUnsafeBufferPointer { weights in
        scores.withUnsafeMutableBufferPointer { scores in
          for at in 0..<width {
            let feature = Double(features[start + at])
            if feature == 0 { continue }  // many are, behind a ReLU
            for output in 0..<outputs { scores[output] += feature * Double(weights[at * outputs + output]) }
          }
        }
      }
    }
    return scores
  }

  /// The head that lies so far on the way from this one to another.
  func mix(with other: Head, share: Float) -> Head {
    Head(
      weights: zip(weights, other.weights).map { $0 + share * ($1 - $0) },
      bias: zip(bias, other.bias).map { $0 + share * ($1 - $0) })
  }
}

/// Samples as features (count, features) and targets (count, outputs), row by row.
public struct Samples {
  public let features: [Float]
  public let target: [Float]
  public let count: Int

  public init(features: [Float], target: [Float], count: Int) {
    (self.features, self.target, self.count) = (features, target, count)
  }

  /// The samples at these places.
  func take(_ rows: [Int]) -> Samples {
    Samples(features: takeRows(features, rows), target: takeRows(target, rows), count: rows.count)
  }

  private func takeRows(_ values: [Float], _ rows: [Int]) -> [Float] {
    let width = count > 0 ? values.count / count : 0
    return rows.flatMap { values[$0 * width..<($0 + 1) * width] }
  }

  func scores(_ row: Int, _ head: Head) -> [Double] { head.computeScores(features, from: row * (features.count / count)) }

  func target(_ row: Int) -> [Double] {
    let width = target.count / count
    return target[row * width..<(row + 1) * width].map(Double.init)
  }
}

/// Shares for softmax and sigmoid, the scores themselves for linear.
func activate(_ scores: [Double], _ activation: Activation) -> [Double] {
  switch activation {
  case .softmax:
    let most = scores.max() ?? 0
    let powers = scores.map { exp($0 - most) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  case .sigmoid: return scores.map { 1 / (1 + exp(-$0)) }
  case .linear: return scores
  }
}

/// The mean over samples of the cross-entropy (softmax; sigmoid summed over outputs), or of half the squared error (linear).
func computeLoss(_ samples: Samples, _ head: Head, _ activation: Activation) -> Double {
  let losses = (0..<samples.count).map { loss(samples.scores($0, head), samples.target($0), activation) }
  return losses.reduce(0, +) / Double(samples.count)
}

private func loss(_ scores: [Double], _ target: [Double], _ activation: Activation) -> Double {
  switch activation {
  case .softmax:
    let most = scores.max() ?? 0
    let total = log(scores.reduce(0) { $0 + exp($1 - most) })
    return zip(scores, target).reduce(0) { $0 - $1.1 * ($1.0 - most - total) }
  case .sigmoid:
    return zip(scores, target).reduce(0) { $0 + max($1.0, 0) + log1p(exp(-abs($1.0))) - $1.0 * $1.1 }
  case .linear: return zip(scores, target).reduce(0) { $0 + 0.5 * ($1.0 - $1.1) * ($1.0 - $1.1) }
  }
}

/// The share of right answers: the best class for softmax, each output at 0.5 for sigmoid; 1 - error / variance for linear.
func measureQuality(_ samples: Samples, _ head: Head, _ activation: Activation) -> Double {
  let scores = (0..<samples.count).map { samples.scores($0, head) }
  let targets = (0..<samples.count).map { samples.target($0) }
  let outputs = head.bias.count
  switch activation {
  case .softmax:
    let right = zip(scores, targets).reduce(0) { $0 + (best($1.0) == best($1.1) ? 1 : 0) }
    return Double(right) / Double(samples.count)
  case .sigmoid:
    let right = zip(scores, targets).reduce(0) { sum, row in
      sum + (0..<outputs).reduce(0) { $0 + ((row.0[$1] > 0) == (row.1[$1] > 0.5) ? 1 : 0) }
    }
    return Double(right) / Double(outputs * samples.count)
  case .linear:
    var (error, spread) = (0.0, 0.0)
    for output in 0..<outputs {
      let mean = targets.reduce(0) { $0 + $1[output] } / Double(samples.count)
      for (found, wanted) in zip(scores, targets) {
        spread += (wanted[output] - mean) * (wanted[output] - mean)
        error += (found[output] - wanted[output]) * (found[output] - wanted[output])
      }
    }
    return spread > 0 ? 1 - error / spread : error == 0 ? 1 : 0
  }
}

/// The place of the largest number, the first of equal ones.
func best(_ values: [Double]) -> Int {
  var place = 0
  for at in values.indices where values[at] > values[place] { place = at }
  return place
}

/// How many of a batch are corrected samples: half, but none of them twice where others can fill it.
private func countFresh(_ corrected: Int, _ replay: Int, _ batch: Int) -> Int {
  replay > 0 ? min(batch / 2, corrected) : batch
}

/// How many steps the settings' passes over the corrected samples are, within bounds.
func countSteps(_ corrected: Int, _ replay: Int, _ batch: Int, _ settings: LearnSettings) -> Int {
  let fresh = countFresh(corrected, replay, batch)
  return max(settings.fewestSteps, min(settings.mostSteps, settings.passes * ((corrected + fresh - 1) / fresh)))
}

/// Gradient descent of a head: weights - rate * features^T (answers - target) / batch. A batch is half corrected and half replayed
/// samples, both round and round.
struct Training {
  let shipped: Head
  let corrected, replay: Samples
  let activation: Activation
  let batch: Int

  /// The head after so many steps from the shipped one.
  func run(steps: Int, rate: Double) -> Head {
    var head = shipped
    let fresh = countFresh(corrected.count, replay.count, batch)
    let kept = batch - fresh
    for step in 0..<steps {
      var weights = [Double](repeating: 0, count: head.weights.count)
      var bias = [Double](repeating: 0, count: head.bias.count)
      for at in 0..<fresh { addGradient(corrected, (step * fresh + at) % corrected.count, head, &weights, &bias) }
      for at in 0..<kept { addGradient(replay, (step * kept + at) % replay.count, head, &weights, &bias) }
      descend(&head.weights, weights, rate)
      descend(&head.bias, bias, rate)
    }
    return head
  }

  private func descend(_ values: inout [Float], _ gradient: [Double], _ rate: Double) {
    values.withUnsafeMutableBufferPointer { values in
      gradient.withUnsafeBufferPointer { gradient in
        for at in 0..<values.count { values[at] = Float(Double(values[at]) - rate * gradient[at] / Double(batch)) }
      }
    }
  }

  private func addGradient(_ samples: Samples, _ row: Int, _ head: Head, _ weights: inout [Double], _ bias: inout [Double]) {
    let answers = activate(samples.scores(row, head), activation)
    let outputs = answers.count
    let error = (0..<outputs).map { answers[$0] - Double(samples.target[row * outputs + $0]) }
    let width = weights.count / outputs
    weights.withUnsafeMutableBufferPointer { weights in
      samples.features.withUnsafeBufferPointer { features in
        error.withUnsafeBufferPointer { error in
          for at in 0..<width {
            let feature = Double(features[row * width + at])
            if feature == 0 { continue }
            for output in 0..<outputs { weights[at * outputs + output] += feature * error[output] }
          }
        }
      }
    }
    for output in 0..<outputs { bias[output] += error[output] }
  }
}
