import Foundation

// Counts inferences in the bins of a bundle's profile.json: docs/monitoring/report.md of edgeship. Integers only, nothing of an
// input or output is kept. When a report is sent, and whether somebody was asked, is the app's to decide.

/// What scores are, or what they become by softmax or the logistic function.
public enum Scores { case probabilities, logits, score, logit }

/// What is counted of the tensor at `place` of the contract's inputs or outputs: its first numbers (`columns`), or mean, deviation,
/// low, high and step of one number in `every`. The bin of a value is the number of edges that are not above it; NaN has the last.
public struct CountedTensor {
  let name: String
  let place: Int
  let edges: [[Double]]
  let columns: Bool
  let every, stride: Int
  let low, high: Double
}

/// What is counted of the scores of an output of classes.
public struct CountedClasses {
  let name: String
  let place, classes: Int
  let scores: Scores
  let threshold: Double
  let confidence, margin, entropy: [Double]
}

public enum CountedOutput {
  case classes(CountedClasses)
  case values(CountedTensor)
}

public struct Bins {
  let latency: [Double]
  let inputs: [CountedTensor]
  let outputs: [CountedOutput]
}

/// What no bundle says. `window`: an ISO week in UTC, as 2026-W48. `sequence`: the number of this report on this device, which never
/// starts anew. `install`: the pseudonym of the window's month, 32 hexadecimal digits: the first half of HMAC-SHA256 (CryptoKit's
/// `HMAC<SHA256>`) of "2026-11", the month being that of the window's Thursday, with 32 random bytes that stay on the device.
/// `runtime`: printable ASCII. `tier`: low, mid, high or unknown. `arms`: by experiment the arm.
public struct ReportHead {
  let window: String
  let sequence: Int
  let install, runtime, tier: String
  let arms: [String: String]

  public init(
    window: String, sequence: Int, install: String, runtime: String, tier: String, arms: [String: String] = [:]
  ) {
    (self.window, self.sequence, self.install) = (window, sequence, install)
    (self.runtime, self.tier, self.arms) = (runtime, tier, arms)
  }

  /// What a report is sent with as `Idempotency-Key`: a server counts it once however often it arrives.
  public var key: String { "\(install).\(window).\(Profile.content.prefix(16)).\(sequence)" }

  var json: String {
    let arms = self.arms.sorted { $0.key < $1.key }.map { "\(quoteForReport($0.key)):\(quoteForReport($0.value))" }
    return "\"schema\":2,\"window\":\(quoteForReport(window)),\"sequence\":\(sequence),\"install\":\(quoteForReport(install)),"
      + "\"bundle\":\(quoteForReport(Profile.bundle)),\"artifact\":\(quoteForReport(Profile.artifact)),"
      + "\"content\":\(quoteForReport(Profile.content)),\"profile\":\(quoteForReport(Profile.digest)),"
      + "\"arms\":{\(arms.joined(separator: ","))},\"runtime\":\(quoteForReport(runtime)),\"tier\":\(quoteForReport(tier))"
  }
}

func quoteForReport(_ text: String) -> String {
  "\"" + text.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "\""
}

private enum Counts {
  case classes(joint: [Int: Int], margin: [Int], entropy: [Int])
  case values([[Int]])
}

private struct ClassFigures {
  let predicted: Int
  let confidence, margin, entropy: Double
}

/// Counts of inferences, for one thread.
public final class Counter {
  private let bins: Bins
  private var before: Int?
  private var n = 0, switches = 0, fallbacks = 0
  private var outputs: [Counts] = []
  private var inputs: [[[Int]]] = []
  private var latency: [Int: Int] = [:]
  private var errors: [String: Int] = [:]
  private var outcomes: [String: [Int: Int]] = [:]

  public init(_ bins: Bins = Profile.bins) {
    self.bins = bins
    clear()
  }

  /// Forget all counts: their report was made.
  public func clear() {
    (n, switches, fallbacks) = (0, 0, 0)
    outputs = bins.outputs.map {
      switch $0 {
      case .values(let form): return .values(empty(form))
      case .classes(let form):
        let (margin, entropy) = (form.margin.count + 1, form.entropy.count + 1)
        return .classes(
          joint: [:], margin: Array(repeating: 0, count: margin), entropy: Array(repeating: 0, count: entropy))
      }
    }
    inputs = bins.inputs.map(empty)
    (latency, errors, outcomes) = ([:], [:], [:])
  }

  private func empty(_ form: CountedTensor) -> [[Int]] { form.edges.map { Array(repeating: 0, count: $0.count + 2) } }

  /// Count one inference: its outputs as `Client.answer` gives them, the tensors that went in as `preprocess` does, in the contract's
  /// order. Returns the class that outcomes are about; nil where the model has none, and where scores are not finite, which counts as
  /// an error.
  @discardableResult
  public func count(_ outputs: [[Float]], _ inputs: [[Float]], milliseconds: Double? = nil) -> Int? {
    var found: [ClassFigures?] = []
    for form in bins.outputs {
      guard case .classes(let classes) = form else {
        found.append(nil)
        continue
      }
      guard let figures = describe(classes, outputs[classes.place]) else {
        error("not_finite")
        return nil
      }
      found.append(figures)
    }
    n += 1
    for (at, form) in bins.outputs.enumerated() {
      switch (form, self.outputs[at]) {
      case (.classes(let classes), .classes(var joint, var margin, var entropy)):
        let figures = found[at]!
        joint[figures.predicted * (classes.confidence.count + 1) + bin(classes.confidence, figures.confidence), default: 0] += 1
        margin[bin(classes.margin, figures.margin)] += 1
        entropy[bin(classes.entropy, figures.entropy)] += 1
        self.outputs[at] = .classes(joint: joint, margin: margin, entropy: entropy)
      case (.values(let tensor), .values(var histograms)):
        count(tensor, outputs[tensor.place], &histograms)
        self.outputs[at] = .values(histograms)
      default: break  // both are made of the same bins
      }
    }
    for (at, form) in bins.inputs.enumerated() { count(form, inputs[form.place], &self.inputs[at]) }
    if let milliseconds { latency[bin(bins.latency, milliseconds), default: 0] += 1 }
    guard let predicted = found.lazy.compactMap({ $0 }).first?.predicted else { return nil }
    if let before, before != predicted { switches += 1 }
    before = predicted
    return predicted
  }

  /// Count what became of an answer: `accepted`, `corrected`, or a word of the app's own (a-z, 0-9, "_").
  public func outcome(_ event: String, _ predicted: Int? = nil) {
    outcomes[limit(event, outcomes.keys.contains(event), outcomes.count), default: [:]][predicted ?? 0, default: 0] += 1
  }

  /// Count an inference without a result, by a code such as `out_of_memory` (a-z, 0-9, "_"); never a message.
  public func error(_ code: String) {
    errors[limit(code, errors.keys.contains(code), errors.count), default: 0] += 1
  }

  /// Count an answer that something else gave in the model's place.
  public func fallback() { fallbacks += 1 }

  private func limit(_ code: String, _ known: Bool, _ count: Int) -> String { known || count < 15 ? code : "other" }

  private func count(_ form: CountedTensor, _ values: [Float], _ counts: inout [[Int]]) {
    let figures = form.columns ? values.map(Double.init) : describe(form, values)
    for (at, edges) in form.edges.enumerated() {
      counts[at][figures[at].isNaN ? edges.count + 1 : bin(edges, figures[at])] += 1
    }
  }

  /// Mean, deviation, shares of low and high numbers, and the mean step.
  private func describe(_ form: CountedTensor, _ values: [Float]) -> [Double] {
    let first = Double(values[0])
    var sum = 0.0, squares = 0.0, steps = 0.0
    var count = 0.0, below = 0.0, above = 0.0, pairs = 0.0
    for at in stride(from: 0, to: values.count, by: form.every) {
      let value = Double(values[at])
      let shifted = value - first
      sum += shifted
      squares += shifted * shifted
      count += 1
      if value <= form.low { below += 1 }
      if value >= form.high { above += 1 }
    }
    for at in stride(from: form.stride, to: values.count, by: form.every) {
      steps += abs(Double(values[at]) - Double(values[at - form.stride]))
      pairs += 1
    }
    let mean = sum / count
    let variance = squares / count - mean * mean
    let deviation = (variance < 0 ? 0 : variance).squareRoot()
    return [first + mean, deviation, below / count, above / count, pairs > 0 ? steps / pairs : 0]
  }

  /// Nil where a score is not finite.
  private func describe(_ form: CountedClasses, _ scores: [Float]) -> ClassFigures? {
    let values = scores.map(Double.init)
    if !values.reduce(0, +).isFinite { return nil }
    var predicted = 0
    for at in values.indices where values[at] > values[predicted] { predicted = at }
    let largest = values[predicted]
    var shares = values
    switch form.scores {
    case .probabilities: break
    case .logits:
      let powers = values.map { exp($0 - largest) }
      let total = powers.reduce(0, +)
      shares = powers.map { $0 / total }
    case .score, .logit:
      let second = form.scores == .logit ? 1 / (1 + exp(-largest)) : largest
      shares = [1 - second, second]
      predicted = largest >= form.threshold ? 1 : 0
    }
    var top = -Double.infinity, next = -Double.infinity, entropy = 0.0
    for share in shares {
      if share > top { (next, top) = (top, share) } else if share > next { next = share }
      if share > 0 { entropy -= share * log(share) }
    }
    return ClassFigures(
      predicted: predicted, confidence: shares[predicted], margin: top - next, entropy: entropy / log(Double(form.classes)))
  }

  /// The number of edges that are not above a value.
  private func bin(_ edges: [Double], _ value: Double) -> Int {
    var (low, high) = (0, edges.count)
    while low < high {
      let middle = (low + high) / 2
      if edges[middle] <= value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The report as JSON, of what was counted since the counter was made, or cleared.
  public func report(_ head: ReportHead) -> String {
    let outputs = zip(bins.outputs, self.outputs).map { form, counts -> String in
      switch (form, counts) {
      case (.classes(let form), .classes(let joint, let margin, let entropy)):
        return "\(quoteForReport(form.name)):{\"kind\":\"classes\",\"joint\":\(pairs(joint)),"
          + "\"margin\":\(list(margin)),\"entropy\":\(list(entropy))}"
      case (.values(let form), .values(let histograms)):
        return "\(quoteForReport(form.name)):{\"kind\":\"values\",\"values\":\(lists(histograms))}"
      default: return ""  // both are made of the same bins
      }
    }
    let inputs = zip(bins.inputs, self.inputs).map { "\(quoteForReport($0.name)):\(lists($1))" }
    let errors = self.errors.sorted { $0.key < $1.key }.map { "\(quoteForReport($0.key)):\($0.value)" }
    let outcomes = self.outcomes.sorted { $0.key < $1.key }.map { "\(quoteForReport($0.key)):\(pairs($0.value))" }
    return "{\(head.json),\"n\":\(n),\"outputs\":{\(outputs.joined(separator: ","))},\"inputs\":{\(inputs.joined(separator: ","))},"
      + "\"latency\":\(pairs(latency)),\"switches\":\(switches),\"errors\":{\(errors.joined(separator: ","))},"
      + "\"fallbacks\":\(fallbacks),\"outcomes\":{\(outcomes.joined(separator: ","))}}"
  }

  private func list(_ counts: [Int]) -> String { "[" + counts.map { "\($0)" }.joined(separator: ",") + "]" }

  private func lists(_ counts: [[Int]]) -> String { "[" + counts.map(list).joined(separator: ",") + "]" }

  /// Cells with their counts, each cell but the first as the difference to the one before.
  private func pairs(_ cells: [Int: Int]) -> String {
    var before = 0
    return list(
      cells.sorted { $0.key < $1.key }.flatMap { cell, count -> [Int] in
        defer { before = cell }
        return [cell - before, count]
      })
  }
}
