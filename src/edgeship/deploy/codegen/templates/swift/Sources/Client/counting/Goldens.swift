/// What the self-test counts of the goldens: the report must be goldens/report.json, to the byte.
struct GoldenCounts {
  /// The content of a file of the folder `goldens`.
  let read: (String) throws -> [UInt8]

  func areRight() throws -> Bool { try read("report.json") == Array((countGoldens() + "\n").utf8) }

  /// All goldens with 0.75, 1.5, ... milliseconds but each third, an outcome of each; then the first with NaN in each output, and in
  /// each input; an error and a fallback.
  private func countGoldens() throws -> String {
    let counter = Counter()
    for (number, golden) in Contract.goldens.enumerated() {
      let milliseconds = number % 3 == 2 ? nil : 0.75 * Double(number + 1)
      let predicted = counter.count(try outputs(golden), try inputs(golden), milliseconds: milliseconds)
      counter.outcome(number % 2 == 1 ? "corrected" : "accepted", predicted)
    }
    let first = Contract.goldens[0]
    counter.count(try outputs(first).map(spoil), try inputs(first))
    counter.count(try outputs(first), try inputs(first).map(spoil))
    counter.error("out_of_memory")
    counter.fallback()
    let install = String(repeating: "5d0c", count: 8)
    return counter.report(
      ReportHead(
        window: "2026-W48", sequence: 3, install: install, runtime: "a \"runtime\" \\ 1", tier: "mid", arms: ["exp-7": "b"]))
  }

  private func spoil(_ values: [Float]) -> [Float] { [.nan] + values.dropFirst() }

  private func outputs(_ golden: Golden) throws -> [[Float]] {
    let suffix = String(Contract.artifact.map { $0 == "/" ? "-" : $0 })
    return try Contract.outputs.map { try readFloats("\(golden.name).\($0.name).\(suffix)") }
  }

  private func inputs(_ golden: Golden) throws -> [[Float]] {
    try Contract.inputs.map { try readFloats("\(golden.name).\($0.name).tensor") }
  }

  private func readFloats(_ name: String) throws -> [Float] {
    let bytes = try read(name)
    return bytes.withUnsafeBytes { place in  // all devices with Swift are little endian, as the files are
      (0..<bytes.count / 4).map { place.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }
}
