// SelfTest MODEL GOLDENS [DEVICE]: prints the result as JSON; exit code 0 where all passed. For a terminal, not for an app.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count > 2 else {
  print("usage: SelfTest MODEL GOLDENS [DEVICE]")
  exit(2)
}

func readFile(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// Says with each golden why there is no engine.
struct NoEngine: Engine {
  let name = "none"
  let reason: Error

  func run(_ inputs: [[UInt8]]) throws -> [[UInt8]] { throw reason }
  func close() {}
}

func openEngine(_ content: [UInt8]) -> Engine {
  do {
    #if canImport(TensorFlowLiteC)
    return try TensorFlowLiteEngine(model: content)
    #else
    return try LiteRtEngine(model: content)
    #endif
  } catch {
    return NoEngine(reason: error)
  }
}

let content = try readFile(arguments[1])
let test = SelfTest(openEngine(content), device: arguments.count > 3 ? arguments[3] : "this device") {
  try readFile("\(arguments[2])/\($0)")
}
test.run(model: content)
print(test.json)
exit(test.passed ? 0 : 1)
