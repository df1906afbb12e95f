import Foundation

/// How learning with the self-test's samples ends; `added`: how many of them there are.
struct Lesson {
  let added: Int
  let refusal: Refusal?
  let samples, heldOut, steps: Int
  let share: Float
  let lossBefore: Double
  let lossAfter: Double
  let correctedAfter, guardAfter: Double
}

/// Does this device learn as edgeship's own client does? `read` gives a file of the folder `goldens`; `scratch`: a folder for a state
/// that is deleted again. `tell` is given what is wrong, in words.
struct LearningGoldens {
  private static let headTolerance: Float = 1e-4  // of the head's largest number
  private static let lossTolerance = 1e-3
  private static let qualityTolerance = 0.02

  private let folder: HeadFolder
  private let state: URL
  private let read: (String) throws -> [UInt8]
  private let tell: (String) -> Void

  init(
    _ folder: HeadFolder, scratch: URL, read: @escaping (String) throws -> [UInt8], tell: @escaping (String) -> Void
  ) {
    (self.folder, state) = (folder, scratch.appendingPathComponent("edgeship-learning-test"))
    (self.read, self.tell) = (read, tell)
  }

  /// A device's day: features, a lesson that is kept, one that is refused, damaged files, and all is forgotten.
  func check() {
    defer { try? FileManager.default.removeItem(at: state) }
    do {
      if !Learning.model.fits(try folder.read("base.tflite")) { tell("head/base.tflite is not that of this client, or damaged") }
      try LearningState(folder: state).forget(samples: true)  // of a test that was killed
      let learner = try HeadLearner(folder, state: state)
      try checkFeatures(learner)
      try teach(learner, "learning.samples", Learning.lesson)
      try check(learner.head, "the learned head")
      try teach(learner, "learning.bad", Learning.bad)
      try check(try reopen().head, "the head that stays after corrections that were refused")
      try checkDamage()
      try checkForgetting(learner)
    } catch { tell("\(error)") }
  }

  private func reopen() throws -> HeadLearner { try HeadLearner(folder, state: state) }

  private func checkFeatures(_ learner: HeadLearner) throws {
    let wanted = readFloats(try read("learning.features"))
    if wanted.count != Contract.goldens.count * Learning.features { return tell("goldens/learning.features has another size") }
    for (number, golden) in Contract.goldens.enumerated() {
      let tensors = try Contract.inputs.map { readFloats(try read("\(golden.name).\($0.name).tensor")) }
      let features = try learner.computeFeatures(tensors: tensors)
      let error = distance(features, Array(wanted[number * Learning.features..<(number + 1) * Learning.features]))
      if !(error <= Learning.tolerance) {
        tell("features of golden \(golden.name) are off by \(error), allowed are \(Learning.tolerance)")
      }
    }
  }

  private func teach(_ learner: HeadLearner, _ file: String, _ lesson: Lesson) throws {
    let content = readFloats(try read(file))
    if content.count != lesson.added * (Learning.features + Learning.outputs) { return tell("goldens/\(file) has another size") }
    let size = lesson.added * Learning.features
    let (features, target) = (Array(content.prefix(size)), Array(content.dropFirst(size)))
    try learner.collect(Samples(features: features, target: target, count: lesson.added))
    compare(try learner.learn(), lesson, file)
    if !learner.hasLearned { tell("after \(file) the shipped head answers") }
  }

  private func compare(_ result: LearnResult, _ lesson: Lesson, _ file: String) {
    if result.refusal != lesson.refusal {
      return tell("learning from \(file) ends with \(name(result.refusal)), not \(name(lesson.refusal)) (\(result.reason))")
    }
    let counts = [result.samples, result.heldOut, result.steps]
    if counts != [lesson.samples, lesson.heldOut, lesson.steps] || result.share != lesson.share {
      tell("learning from \(file) takes \(counts) samples, held-out ones and steps, and \(result.share) of the way")
    }
    let loss = LearningGoldens.lossTolerance * abs(lesson.lossBefore)
    compare("the loss before \(file)", result.lossBefore, lesson.lossBefore, loss)
    if lesson.refusal != nil { return }  // how far off a refused head is hangs on how a device rounds
    compare("the loss after \(file)", result.lossAfter ?? .nan, lesson.lossAfter, loss)
    let few = fewOf(lesson.samples - lesson.heldOut)
    compare("the quality after \(file)", result.correctedAfter, lesson.correctedAfter, few)
    compare("the guard's quality after \(file)", result.guardAfter, lesson.guardAfter, fewOf(Learning.guardSamples))
  }

  private func compare(_ name: String, _ found: Double, _ wanted: Double, _ allowed: Double) {
    if !(abs(found - wanted) <= allowed) { tell("\(name) is \(found), not \(wanted)") }
  }

  private func check(_ head: Head, _ name: String) throws {
    let wanted = readFloats(try read("learning.heads"))
    if wanted.count != head.weights.count + head.bias.count { return tell("goldens/learning.heads has another size") }
    let error = distance(head.weights + head.bias, wanted)
    let allowed = LearningGoldens.headTolerance * (wanted.map { abs($0) }.max() ?? 0)
    if !(error <= allowed) { tell("\(name) is off by \(error), allowed are \(allowed)") }
  }

  /// A file with a flipped byte, or one that ends too early, counts as absent.
  private func checkDamage() throws {
    for name in [LearningState.head, LearningState.samples] {
      let file = state.appendingPathComponent(name)
      let content = [UInt8](try Data(contentsOf: file))
      var flipped = content
      flipped[content.count / 2] ^= 1
      for damaged in [flipped, Array(content.dropLast()), []] {
        try Data(damaged).write(to: file)
        let learner = try reopen()
        if name == LearningState.head ? learner.hasLearned : learner.samples > 0 { tell("a damaged \(name) is taken") }
      }
      try Data(content).write(to: file)
      let learner = try reopen()
      if !learner.hasLearned || learner.samples == 0 { tell("a sound \(name) is not taken") }
    }
  }

  private func checkForgetting(_ learner: HeadLearner) throws {
    let learned = learner.head
    try learner.forget(samples: false)
    if learner.hasLearned || learner.samples == 0 { tell("a head that is forgotten answers, or its samples are gone, too") }
    try LearningState(folder: state).write(learned)
    try learner.forget()
    let after = try reopen()
    if after.hasLearned || after.samples + learner.samples > 0 { tell("what is forgotten is still there") }
  }

  /// The largest difference; infinite where one is no number.
  private func distance(_ found: [Float], _ wanted: [Float]) -> Float {
    zip(found, wanted).reduce(0) { worst, pair in
      let error = abs(pair.0 - pair.1)
      return error.isNaN ? .infinity : max(worst, error)
    }
  }

  /// Of few samples, one or two may lie on the edge.
  private func fewOf(_ count: Int) -> Double { max(LearningGoldens.qualityTolerance, 2.5 / Double(count)) }

  private func name(_ refusal: Refusal?) -> String { refusal.map { "\($0)" } ?? "a head that is kept" }
}
