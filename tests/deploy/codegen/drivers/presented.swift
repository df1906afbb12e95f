// presented MODEL GOLDENS HEIGHT WIDTH: what the sample app's screen says of golden 0, and after the self-test.
import Foundation

let arguments = CommandLine.arguments
func readFile(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
let presenter = Presenter(try TensorFlowLiteEngine(model: try readFile(arguments[1]))) { print($0) }
let pixels = try readFile("\(arguments[2])/0.image.raw")
presenter.onPicture(Picture(data: pixels, height: Int(arguments[3])!, width: Int(arguments[4])!, channels: 3))
_ = presenter.onSelfTest(device: "Linux") { try readFile("\(arguments[2])/\($0)") }
