// SelfTest MODEL GOLDENS [DEVICE]: prints the result as JSON; exit code 0 where all passed. For a terminal, not for an app.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count > 2 else {
  print("usage: SelfTest MODEL GOLDENS [DEVICE]")
  exit(2)
}

func readFile(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

let content = try readFile(arguments[1])
let engine = try TensorFlowLiteEngine(model: content)
let test = SelfTest(engine, device: arguments.count > 3 ? arguments[3] : "this device") {
  try readFile("\(arguments[2])/\($0)")
}
test.run(model: content)
print(test.json)
exit(test.passed ? 0 : 1)
