// counts FILE SIZES...: the report of the samples in FILE (test_counting.py), whose outputs, then inputs have these sizes.
import Foundation

let arguments = CommandLine.arguments
let content = [UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[1])))
let sizes = arguments.dropFirst(2).map { Int($0)! }
let counter = Counter()
var at = 0

func readTensor(_ size: Int) -> [Float] {
  defer { at += 4 * size }
  return content.withUnsafeBytes { place in
    (0..<size).map { place.loadUnaligned(fromByteOffset: at + 4 * $0, as: Float.self) }
  }
}

while at < content.count {
  let tensors = sizes.map(readTensor)
  let milliseconds = content.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Double.self) }
  at += 8
  let outputs = Profile.bins.outputs.count
  counter.count(
    Array(tensors[..<outputs]), Array(tensors[outputs...]), milliseconds: milliseconds < 0 ? nil : milliseconds)
}
let install = String(repeating: "0", count: 32)
print(counter.report(ReportHead(window: "2026-W48", sequence: 0, install: install, runtime: "Swift", tier: "mid")))
