import Foundation

/// The folder `head`: an engine on its base.tflite (with the ports of `Learning.base`), and what gives the content of its other files.
public struct HeadFolder {
  let base: Engine
  let read: (String) throws -> [UInt8]

  public init(base: Engine, read: @escaping (String) throws -> [UInt8]) { (self.base, self.read) = (base, read) }
}

/// A file as it was shipped: its bytes and their CRC-32.
struct FileSum {
  let size: Int
  let checksum: UInt32

  func fits(_ content: [UInt8]) -> Bool { content.count == size && crc32(content) == checksum }
}

/// A model of which this device teaches the last layer, from answers that its user corrected. Nothing leaves the device. For one thread.
public final class HeadLearner {
  private static let heldOut = 4  // one corrected sample of so many is never trained with
  private static let shares: [Float] = [0.5, 0.25]  // of the way to the new head, where all of it is too far

  private let folder: HeadFolder
  private let state: LearningState
  private let shipped: Head
  private let replay, known: Samples
  private var learned: Head?
  private var corrected: CorrectedSamples

  /// `state`: a folder of this device's own for what it learns. Throws a `ClientError` for a `head` of another client.
  public init(_ folder: HeadFolder, state: URL) throws {
    (self.folder, self.state) = (folder, LearningState(folder: state))
    let size = Learning.features * Learning.outputs
    let head = readFloats(try readFile(folder, "shipped.bin", Learning.shipped))
    shipped = Head(weights: Array(head.prefix(size)), bias: Array(head.dropFirst(size)))
    let content = try readFile(folder, "replay.bin", Learning.known)
    let split = Learning.replay * (Learning.features + 4 * Learning.outputs)
    replay = readSamples(content[..<split], Learning.replay)
    known = readSamples(content[split...], Learning.guardSamples)
    (learned, corrected) = (self.state.readHead(), self.state.readSamples())
  }

  /// The head that answers: the learned one; the shipped one where there is none, or it is damaged or of another version.
  public var head: Head { learned ?? shipped }

  /// Whether a learned head answers.
  public var hasLearned: Bool { learned != nil }

  /// How many corrected samples are kept.
  public var samples: Int { corrected.samples.count }

  /// The model's output for the raw data of each input, from the head as it is now.
  public func predict(_ raws: Raw...) throws -> [Float] { answer(features: try computeFeatures(raws)) }

  /// The best answers, as `Client.classify` gives them.
  public func classify(_ raws: Raw..., count: Int = 3) throws -> [(index: Int, label: String, score: Float)] {
    decide(Contract.outputs[Learning.place], answer(features: try computeFeatures(raws)), count)
  }

  /// The features of raw data. Throws a `ClientError` for what an input does not take, and where they are not finite.
  public func computeFeatures(_ raws: [Raw]) throws -> [Float] {
    if raws.count != Contract.inputs.count { throw ClientError(description: "takes \(Contract.inputs.count) inputs") }
    return try computeFeatures(tensors: zip(Contract.inputs, raws).map { try preprocess($0, $1) })
  }

  /// The same for tensors as `preprocess` gives them.
  public func computeFeatures(tensors: [[Float]]) throws -> [Float] {
    let taken = try folder.base.run(zip(Learning.base.inputs, tensors).map { quantize($0.edge, $1) })
    let features = dequantize(Learning.base.outputs[0].edge, taken[0])
    try requireFinite(features)
    return features
  }

  /// As `predict`, for features that were computed before.
  public func answer(features: [Float]) -> [Float] {
    activate(head.computeScores(features), Learning.answers).map { Float($0) }
  }

  /// Keeps a corrected sample as features, the newest 1,024 of all, and returns how many are kept. `label`: the right class, or the
  /// number that the one output should have been. Throws for what cannot be learned from, and where it cannot be kept.
  @discardableResult
  public func collect(label: Int, _ raws: Raw...) throws -> Int {
    try collect(Samples(features: try computeFeatures(raws), target: try makeTarget(label), count: 1))
  }

  /// The same for what each output should have been.
  @discardableResult
  public func collect(target: [Float], _ raws: Raw...) throws -> Int {
    try collect(Samples(features: try computeFeatures(raws), target: target, count: 1))
  }

  /// The same for features that were computed before, of any number of samples.
  @discardableResult
  public func collect(_ given: Samples) throws -> Int {
    if given.features.count != given.count * Learning.features || given.target.count != given.count * Learning.outputs {
      let form = "\(Learning.features) features, and a target of \(Learning.outputs) numbers"
      throw ClientError(description: "a sample has \(form)")
    }
    try requireFinite(given.features)
    let anything = Learning.activation == .linear
    if !given.target.allSatisfy({ anything ? $0.isFinite : (0...1).contains($0) }) {
      throw ClientError(description: anything ? "a target that is no finite number" : "targets must be from 0 to 1")
    }
    let joined = corrected.add(given)
    try state.write(joined)
    corrected = joined
    return samples
  }

  /// Trains a new head from the shipped one with the corrected samples and the replayed ones, and keeps it where it is no worse; else
  /// half of the way to it, or a quarter. It takes seconds: not on the main thread. Throws a `ClientError` where there is nothing to
  /// learn from: no sample, or of one class only.
  public func learn(_ settings: LearnSettings = LearnSettings()) throws -> LearnResult {
    try checkSamples()
    let places = corrected.numbers.indices
    let held = places.filter { corrected.numbers[$0] % HeadLearner.heldOut == HeadLearner.heldOut - 1 }
    let trained = places.filter { corrected.numbers[$0] % HeadLearner.heldOut != HeadLearner.heldOut - 1 }
    let (train, heldOut) = (corrected.samples.take(trained), corrected.samples.take(held))
    let rate = settings.rate ?? Learning.rate
    let steps = countSteps(train.count, replay.count, Learning.batch, settings)
    let training = Training(
      shipped: shipped, corrected: train, replay: replay, activation: Learning.activation, batch: Learning.batch)
    let whole = training.run(steps: steps, rate: rate)
    let gate = Gate(
      shipped: shipped, before: head, corrected: train, heldOut: heldOut, replay: replay, known: known,
      activation: Learning.activation, limit: settings.limit)
    let result = gate.judge(whole, steps: steps, rate: rate)
    if result.kept { try keep(whole) }
    guard !result.kept, let loss = result.lossAfter, loss <= result.lossBefore else { return result }
    for share in HeadLearner.shares {
      let part = shipped.mix(with: whole, share: share)
      let judged = gate.judge(part, steps: steps, rate: rate, share: share)
      if judged.kept && judged.correctedAfter > judged.correctedBefore {  // else it mends nothing
        try keep(part)
        return judged
      }
    }
    return result
  }

  /// Answers with the shipped head again; the corrected samples are deleted, too, unless they are to stay.
  public func forget(samples: Bool = true) throws {
    try state.forget(samples: samples)
    learned = nil
    if samples { corrected = .none }
  }

  private func keep(_ head: Head) throws {
    try state.write(head)
    learned = head
  }

  private func makeTarget(_ label: Int) throws -> [Float] {
    if Learning.activation != .softmax { return [Float(label)] }
    if !(0..<Learning.outputs).contains(label) {
      throw ClientError(description: "a label must be from 0 to \(Learning.outputs - 1)")
    }
    return (0..<Learning.outputs).map { $0 == label ? 1 : 0 }
  }

  private func checkSamples() throws {
    if samples == 0 { throw ClientError(description: "nothing was corrected yet, so that there is nothing to learn from") }
    let classes = Set((0..<samples).map { best(corrected.samples.target($0)) })
    if Learning.activation == .softmax, classes.count == 1, let only = classes.first {
      let labels = Contract.outputs[Learning.place].labels
      let name = only < labels.count ? "'\(labels[only])'" : "class \(only)"
      let all = "all \(samples) corrected samples are of one class, \(name)"
      throw ClientError(description: "\(all); correct some of another, too")
    }
  }
}

private func requireFinite(_ features: [Float]) throws {
  if !features.allSatisfy({ $0.isFinite }) {
    throw ClientError(description: "features that are no finite numbers; nothing is learned from them")
  }
}

private func readFile(_ folder: HeadFolder, _ name: String, _ wanted: FileSum) throws -> [UInt8] {
  let content = try folder.read(name)
  if !wanted.fits(content) { throw ClientError(description: "\(name) is not that of this client, or damaged") }
  return content
}

private func readSamples(_ content: ArraySlice<UInt8>, _ count: Int) -> Samples {
  let size = count * Learning.features
  let features = content.prefix(size).map { byte -> Float in
    let product = Float(byte) * Learning.scale
    return product + Learning.offset
  }
  return Samples(features: features, target: readFloats(Array(content.dropFirst(size))), count: count)
}
