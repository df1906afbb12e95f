// cases FILE OUT: the tensors of the pictures in FILE (pictures.py) one after the other in OUT. Compiled with the client's sources.
import Foundation

let arguments = CommandLine.arguments
let content = [UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[1])))
var (at, tensors) = (0, [UInt8]())

func readInteger() -> Int {
  defer { at += 4 }
  return Int(content.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Int32.self) })
}

while at < content.count {
  let n = (0..<18).map { _ in readInteger() }
  let factors = (0..<2 * n[13]).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: readInteger())) }
  let pixels = Array(content[at..<at + n[14] * n[15] * n[16]])
  at += pixels.count
  let steps = PictureSteps(
    height: n[0], width: n[1], orient: n[3] == 1, flatten: n[4], grey: Array(n[5...7]),
    invert: [Ground.never, .dark, .light][n[8]], resampler: [Resampler.area, .pilBilinear, .tfBilinear][n[9]],
    fit: [Fit.stretch, .contain, .cover][n[10]], border: n[11], swap: n[12] == 1)
  let edge = Edge(index: 0, dtype: .float32, size: n[0] * n[1] * n[2], scale: 0, zeroPoint: 0)
  let input = Input(
    name: "image", kind: .image, edge: edge, channels: n[2], picture: steps, multiply: Array(factors[..<n[13]]),
    add: Array(factors[n[13]...]))
  let picture = Picture(data: pixels, height: n[14], width: n[15], channels: n[16], orientation: n[17])
  tensors += try preprocess(input, .picture(picture)).withUnsafeBytes { Array($0) }
}
try Data(tensors).write(to: URL(fileURLWithPath: arguments[2]))
