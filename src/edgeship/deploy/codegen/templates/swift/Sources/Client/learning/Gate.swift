import Foundation

/// How a head is learned. `rate`: nil for the one that suits the features. `passes` over the corrected samples, at least `fewestSteps`
/// and at most `mostSteps` steps in all. `limit`: how far the share of right answers may fall before the old head stays.
public struct LearnSettings {
  public var rate: Double?
  public var passes = 40
  public var fewestSteps = 100
  public var mostSteps = 2000
  public var limit = 0.02

  public init(rate: Double? = nil) { self.rate = rate }
}

/// Why an old head stays: the loss rose, or the share of right answers fell on the guard samples, or on those held out.
public enum Refusal { case loss, guardSamples, heldOut }

/// What came of learning: whether the new head was `kept`, or the `reason` why the old one stays, in words and as `refusal`. `share`: how
/// far it went from the shipped head to the new one. `heldOut` of the `samples` were not trained with. Qualities are shares of right
/// answers (linear: 1 - squared error / variance) of the head that was there before and of the new one; the guard's and the losses
/// before are the shipped head's. `lossAfter` is nil where it is no finite number.
public struct LearnResult {
  public let kept: Bool
  public let reason: String
  public let refusal: Refusal?
  public let samples, heldOut, steps: Int
  public let rate: Double
  public let lossBefore: Double
  public let lossAfter: Double?
  public let correctedBefore, correctedAfter: Double
  public let guardBefore, guardAfter: Double
  public let heldOutBefore, heldOutAfter: Double?
  public let share: Float
}

/// What a new head is judged by: the samples that it was trained with, those held out of the corrected ones, and the guard samples.
struct Gate {
  let shipped, before: Head
  let corrected, heldOut, replay, known: Samples
  let activation: Activation
  let limit: Double

  /// The result with a head, which is kept where nothing that is known got worse than the limit allows.
  func judge(_ head: Head, steps: Int, rate: Double, share: Float = 1) -> LearnResult {
    let losses = [shipped, head].map(loss)
    let guards = [shipped, head].map { measureQuality(known, $0, activation) }
    let held = [before, head].map { heldOut.count > 0 ? measureQuality(heldOut, $0, activation) : nil }
    let corrections = [before, head].map { measureQuality(corrected, $0, activation) }
    var (refusal, reason) = (Refusal?.none, "")
    if !head.isFinite || !(losses[1] <= losses[0]) {
      let after = losses[1].isFinite ? String(format: "%.3g", losses[1]) : "beyond all numbers"
      let loss = String(format: "%.3g", losses[0])
      (refusal, reason) = (.loss, "the loss rose from \(loss) to \(after): the rate \(String(format: "%.3g", rate)) is too large")
    } else if hasFallen(guards[0], guards[1], known.count) {
      (refusal, reason) = (.guardSamples, "on the guard samples it fell from \(percent(guards[0])) to \(percent(guards[1]))")
    } else if let first = held[0], let last = held[1], hasFallen(first, last, heldOut.count) {
      (refusal, reason) = (.heldOut, "on the held-out samples it fell from \(percent(first)) to \(percent(last))")
    }
    return LearnResult(
      kept: refusal == nil, reason: reason, refusal: refusal, samples: corrected.count + heldOut.count,
      heldOut: heldOut.count, steps: steps, rate: rate, lossBefore: losses[0],
      lossAfter: losses[1].isFinite ? losses[1] : nil, correctedBefore: corrections[0], correctedAfter: corrections[1],
      guardBefore: guards[0], guardAfter: guards[1], heldOutBefore: held[0], heldOutAfter: held[1], share: share)
  }

  /// Of corrected and replayed samples half and half, as they are trained with.
  private func loss(_ head: Head) -> Double {
    let seen = [corrected, replay].filter { $0.count > 0 }
    return seen.reduce(0) { $0 + computeLoss($1, head, activation) } / Double(seen.count)
  }

  /// By more than the limit; of few samples, a single one is no sign of anything.
  private func hasFallen(_ before: Double, _ after: Double, _ count: Int) -> Bool {
    !(before - after <= max(limit, 1.5 / Double(count)))
  }

  private func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
}
