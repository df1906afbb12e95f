/// What the self-test found wrong: the golden's name, of what (raw, tensor, output, label, model), and how.
public struct Failure {
  public let name: String
  public let what: String
  public let detail: String
}

/// Does this client, on this device, compute what it computed when the model was shipped? `read` gives the content of a file of
/// the folder `goldens`, `model` that of the model's file where the app can read it, so that a stale one is found.
public final class SelfTest {
  public private(set) var failures: [Failure] = []
  private var errors: [String: Double] = [:]
  private let client: Client
  private let device: String
  private let read: (String) throws -> [UInt8]

  public init(_ engine: Engine, device: String, read: @escaping (String) throws -> [UInt8]) {
    (client, self.device, self.read) = (Client(engine), device, read)
  }

  public var passed: Bool { failures.isEmpty }

  public func run(model: [UInt8]? = nil) {
    if let model, model.count != Contract.modelSize || crc32(model) != Contract.checksum {
      fail("model", "model", "another file than this client was generated for")
    }
    checkRounding()
    for golden in Contract.goldens { replay(golden) }
  }

  /// Goldens may hold no halves: numbers that do, with the integers that they must become.
  private func checkRounding() {
    let edge = Edge(index: 0, dtype: .int8, size: 8, scale: 0.5, zeroPoint: 3)
    let rounded = quantize(edge, [0.25, 0.75, 1.25, -0.25, -0.75, 1e9, -1e9, 61.75]).map { Int8(bitPattern: $0) }
    if rounded != [3, 5, 5, 3, 1, 127, -128, 127] {
      fail("rounding", "tensor", "quantize does not round halves to even, add the zero point, or keep to the range")
    }
  }

  private func replay(_ golden: Golden) {
    let before = failures.count
    var tensors: [[Float]] = []
    for (at, input) in Contract.inputs.enumerated() {
      guard let raw = readGolden(golden, input.name + ".raw"), let bytes = readGolden(golden, input.name + ".tensor") else {
        continue
      }
      do {
        let tensor = try preprocess(input, toRaw(input, golden.raws[at], raw))
        let wanted = toFloats(bytes)
        let wrong = tensor.indices.first { $0 >= wanted.count || tensor[$0].bitPattern != wanted[$0].bitPattern }
        if let wrong { fail(golden.name, "tensor", "value \(wrong) of '\(input.name)' is another") }
        if tensor.count != wanted.count { fail(golden.name, "tensor", "\(tensor.count) values, not \(wanted.count)") }
        tensors.append(tensor)
      } catch { fail(golden.name, "tensor", "\(error)") }
    }
    if failures.count > before { return }  // the model would not be given what it should be
    do {
      for (output, values) in zip(Contract.outputs, try client.answer(tensors)) { compare(golden, output, values) }
    } catch { fail(golden.name, "output", "\(error)") }
  }

  private func toRaw(_ input: Input, _ form: (height: Int, width: Int, channels: Int, orientation: Int), _ bytes: [UInt8])
    -> Raw
  {
    switch input.kind {
    case .image:
      let (height, width) = (form.height, form.width)
      let orientation = form.orientation
      return .picture(Picture(data: bytes, height: height, width: width, channels: form.channels, orientation: orientation))
    case .audio:
      let samples = bytes.withUnsafeBytes { place in
        (0..<bytes.count / 2).map { place.loadUnaligned(fromByteOffset: 2 * $0, as: Int16.self) }
      }
      return .sound(samples, rate: 0)
    case .table:
      return .row(bytes.split(separator: 10, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) })
    default: return .numbers(toFloats(bytes))
    }
  }

  private func toFloats(_ bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { place in  // all devices with Swift are little endian, as the files are
      (0..<bytes.count / 4).map { place.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  private func compare(_ golden: Golden, _ output: Output, _ values: [Float]) {
    let suffix = String(Contract.artifact.map { $0 == "/" ? "-" : $0 })
    guard let bytes = readGolden(golden, "\(output.name).\(suffix)") else { return }
    let wanted = toFloats(bytes)
    var worst = values.count == wanted.count ? 0.0 : Double.infinity
    for (value, other) in zip(values, wanted) where value.bitPattern != other.bitPattern {
      let error = abs(Double(value) - Double(other))
      worst = max(worst, error.isNaN ? .infinity : error)
    }
    errors[output.name] = max(worst, errors[output.name] ?? 0)
    if !(worst <= Double(output.tolerance)) {
      fail(golden.name, "output", "'\(output.name)' is off by \(worst), allowed are \(output.tolerance)")
    }
    let best = top(values, 1, labels: output.labels).first?.label ?? ""
    if golden.clear && !golden.label.isEmpty && !output.labels.isEmpty && best != golden.label {
      fail(golden.name, "label", "\(best), not \(golden.label)")
    }
  }

  private func readGolden(_ golden: Golden, _ part: String) -> [UInt8]? {
    do {
      return try read("\(golden.name).\(part)")
    } catch {
      fail(golden.name, "raw", "\(golden.name).\(part): \(error)")
      return nil
    }
  }

  private func fail(_ name: String, _ what: String, _ detail: String) {
    failures.append(Failure(name: name, what: what, detail: detail))
  }

  private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var sum = UInt32.max
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    return ~sum
  }

  /// What `edgeship report --add` takes.
  public var json: String {
    let wrong = failures.map { "{\"case\": \(quote($0.name)), \"what\": \(quote($0.what)), \"detail\": \(quote($0.detail))}" }
    let outputs = Contract.outputs.map { output -> String in
      let error = errors[output.name].flatMap { $0.isFinite ? $0 : nil }
      let passed = error.map { $0 <= Double(output.tolerance) } ?? false
      let shown = error.map { "\($0)" } ?? "null"
      return "\(quote(output.name)): {\"maxAbsError\": \(shown), \"tolerance\": \(output.tolerance), \"passed\": \(passed)}"
    }
    let preprocessing = !failures.contains { $0.what == "tensor" || $0.what == "raw" }
    return """
      {"schema": 1, "kind": "edgeship-selftest", "client": "swift",
       "bundle": \(quote(Contract.bundle)),
       "artifact": \(quote(Contract.artifact)),
       "artifactDigest": \(quote(Contract.digest)),
       "engine": \(quote(client.engine.name)),
       "device": \(quote(device)),
       "samples": \(Contract.goldens.count),
       "failures": [\(wrong.joined(separator: ",\n  "))],
       "outputs": {\(outputs.joined(separator: ",\n  "))},
       "preprocessing": \(preprocessing),
       "passed": \(passed)}
      """
  }

  private func quote(_ text: String) -> String {
    let escaped = text.unicodeScalars.map { scalar -> String in
      if scalar == "\"" || scalar == "\\" { return "\\" + String(scalar) }
      let code = String(scalar.value, radix: 16)
      return scalar.value < 32 ? "\\u" + String(repeating: "0", count: 4 - code.count) + code : String(scalar)
    }
    return "\"\(escaped.joined())\""
  }
}
