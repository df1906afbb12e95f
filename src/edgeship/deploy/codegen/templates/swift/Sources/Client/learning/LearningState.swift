import Foundation

/// The corrected samples that a device keeps, the number of each in the order in which they came, and that of the next one.
struct CorrectedSamples {
  static let most = 1024
  static let none = CorrectedSamples(numbers: [], next: 0, samples: Samples(features: [], target: [], count: 0))

  let numbers: [Int]
  let next: Int
  let samples: Samples

  /// These and others that came later, the newest of all.
  func add(_ others: Samples) -> CorrectedSamples {
    let joined = Samples(
      features: samples.features + others.features, target: samples.target + others.target,
      count: samples.count + others.count)
    let kept = joined.take(Array(max(0, joined.count - CorrectedSamples.most)..<joined.count))
    let all = numbers + (0..<others.count).map { next + $0 }
    return CorrectedSamples(numbers: all.suffix(kept.count), next: next + others.count, samples: kept)
  }
}

/// What a device keeps of learning, in a folder of its own: the head that it learned, and the corrected samples as features. A file that
/// is damaged, of another version of the model, or with numbers that are not finite counts as absent.
struct LearningState {
  static let head = "head.bin"
  static let samples = "samples.bin"
  private static let checksum = 4

  let folder: URL

  func readHead() -> Head? {
    let size = Learning.features * Learning.outputs
    guard let content = read(LearningState.head), content.count == 4 * (size + Learning.outputs) else { return nil }
    let values = readFloats(content)
    let head = Head(weights: Array(values.prefix(size)), bias: Array(values.dropFirst(size)))
    return head.isFinite ? head : nil
  }

  /// Throws a `ClientError` where the folder cannot be written.
  func write(_ head: Head) throws { try write(LearningState.head, pack(head.weights + head.bias)) }

  func readSamples() -> CorrectedSamples {
    guard let content = read(LearningState.samples), content.count >= 8 else { return .none }
    let (count, next) = (readInteger(content, 0), readInteger(content, 4))
    let width = 1 + Learning.features + Learning.outputs
    guard count <= CorrectedSamples.most, content.count == 8 + 4 * count * width else { return .none }
    let numbers = (0..<count).map { readInteger(content, 8 + 4 * $0) }
    let values = readFloats(Array(content.dropFirst(8 + 4 * count)))
    if !values.allSatisfy({ $0.isFinite }) { return .none }
    let size = count * Learning.features
    let samples = Samples(features: Array(values.prefix(size)), target: Array(values.dropFirst(size)), count: count)
    return CorrectedSamples(numbers: numbers, next: next, samples: samples)
  }

  /// Throws a `ClientError` where the folder cannot be written.
  func write(_ corrected: CorrectedSamples) throws {
    let integers = [corrected.numbers.count, corrected.next] + corrected.numbers
    let head = integers.map { UInt32($0) }.withUnsafeBytes { Array($0) }
    try write(LearningState.samples, head + pack(corrected.samples.features + corrected.samples.target))
  }

  /// Deletes the learned head, and the corrected samples where asked for. Throws where they stay.
  func forget(samples: Bool) throws {
    let names = samples ? [LearningState.head, LearningState.samples] : [LearningState.head]
    for file in names.flatMap({ [folder.appendingPathComponent($0), nameBeside($0)] }) {
      if FileManager.default.fileExists(atPath: file.path) { try FileManager.default.removeItem(at: file) }
    }
  }

  /// The content behind the digest and before the checksum; nil where the file is none of this version, or damaged.
  private func read(_ name: String) -> [UInt8]? {
    guard let data = try? Data(contentsOf: folder.appendingPathComponent(name)) else { return nil }
    let bytes = [UInt8](data)
    let (digest, end) = (Array(Learning.digest.utf8), bytes.count - LearningState.checksum)
    guard end >= digest.count, bytes.starts(with: digest) else { return nil }
    return readInteger(bytes, end) == Int(crc32(Array(bytes[..<end]))) ? Array(bytes[digest.count..<end]) : nil
  }

  /// Of what is written until it is whole; it stays where an app is killed.
  private func nameBeside(_ name: String) -> URL { folder.appendingPathComponent("\(name).new") }

  /// Written beside, flushed to the disk, and moved into place: whole or as it was.
  private func write(_ name: String, _ content: [UInt8]) throws {
    let bytes = Array(Learning.digest.utf8) + content
    let sum = withUnsafeBytes(of: crc32(bytes)) { Array($0) }
    let (beside, place) = (nameBeside(name), folder.appendingPathComponent(name))
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Data().write(to: beside)
      let file = try FileHandle(forWritingTo: beside)
      try file.write(contentsOf: Data(bytes + sum))
      try file.synchronize()
      try file.close()
    } catch {
      throw ClientError(description: "\(folder.path): \(error); what is learned needs a folder to be kept in")
    }
    if rename(beside.path, place.path) != 0 {
      throw ClientError(description: "\(beside.path) cannot be moved into place")
    }
  }

  private func readInteger(_ bytes: [UInt8], _ at: Int) -> Int {
    bytes.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
  }

  private func pack(_ values: [Float]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
}

/// All devices with Swift are little endian, as the files are.
func readFloats(_ bytes: [UInt8]) -> [Float] {
  bytes.withUnsafeBytes { place in
    (0..<bytes.count / 4).map { place.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
  }
}
