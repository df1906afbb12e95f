// taught STATE FILE HEIGHT WIDTH CORRECTED: what a device says that is taught the first pictures in FILE (grey, a label behind each)
// and answers the others. In the client's folder.
import Foundation

let arguments = CommandLine.arguments
func readFile(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
let (height, width, corrected) = (Int(arguments[3])!, Int(arguments[4])!, Int(arguments[5])!)
let base = try TensorFlowLiteEngine(model: try readFile("head/base.tflite"), ports: Learning.base)
let folder = HeadFolder(base: base) { try readFile("head/\($0)") }
let content = try readFile(arguments[2])
let size = height * width
let samples = (0..<content.count / (size + 1)).map { at -> (raw: Raw, label: Int) in
  let pixels = Array(content[at * (size + 1)..<at * (size + 1) + size])
  return (.picture(Picture(data: pixels, height: height, width: width, channels: 1)), Int(content[at * (size + 1) + size]))
}
let others = samples.dropFirst(corrected)
let state = URL(fileURLWithPath: arguments[1])

func rate(_ learner: HeadLearner) throws -> Double {
  let right = try others.filter { try learner.classify($0.raw)[0].index == $0.label }
  return Double(right.count) / Double(others.count)
}

func refuse(_ name: String, _ action: () throws -> Void) {
  do {
    try action()
    print("\(name) taken")
  } catch { print("\(name) \(error)") }
}

let learner = try HeadLearner(folder, state: state)
refuse("nothing") { _ = try learner.learn() }
refuse("strange") { try learner.collect(label: 99, samples[0].raw) }
let target = [Float](repeating: 0, count: Learning.outputs)
refuse("numbers") {
  let features = [Float](repeating: .nan, count: Learning.features)
  try learner.collect(Samples(features: features, target: target, count: 1))
}
try learner.collect(label: 1, samples[0].raw)
refuse("single") { _ = try learner.learn() }
try learner.forget()
print("before \(try rate(learner))")
for sample in samples.prefix(corrected) { try learner.collect(label: sample.label, sample.raw) }
let result = try learner.learn()
let counts = "kept=\(result.kept), samples=\(result.samples), heldOut=\(result.heldOut), steps=\(result.steps), share=\(result.share)"
let losses = "lossBefore=\(result.lossBefore), lossAfter=\(result.lossAfter ?? .nan)"
print("result \(counts), \(losses), heldOutAfter=\(result.heldOutAfter ?? .nan), guardAfter=\(result.guardAfter)")
print("after \(try rate(learner))")
let again = try HeadLearner(folder, state: state)
print("reopened \(try rate(again)) \(again.samples)")
refuse("diverged") { throw ClientError(description: try again.learn(LearnSettings(rate: 1000)).reason) }
print("refused \(try rate(again))")
let features = [Float](repeating: 0, count: 1100 * Learning.features)
try again.collect(Samples(features: features, target: [Float](repeating: 0, count: 1100 * Learning.outputs), count: 1100))
print("kept \(again.samples)")
try again.forget(samples: false)
let last = try HeadLearner(folder, state: state)
print("forgotten \(try rate(last)) \(last.samples)")
try Data("of an app that was killed".utf8).write(to: state.appendingPathComponent("samples.bin.new"))
try again.forget()
print("files \(try FileManager.default.contentsOfDirectory(atPath: state.path).count)")
