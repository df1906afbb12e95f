// Stand-in for LiteRT's Swift package, over its C library: what generated clients call. Not for an app.
import CLiteRT
import Foundation

public struct LiteRtError: Error {
  let status: UInt32
}

private func check(_ status: LiteRtStatus) throws {
  if status != kLiteRtStatusOk { throw LiteRtError(status: status.rawValue) }
}

public enum Accelerator: Int32 { case cpu = 1 }

public enum ElementType: UInt32 {
  case float32 = 1
  case int32 = 2
  case uint8 = 3
  case int16 = 7
  case int8 = 9
}

public struct Layout {
  public let dimensions: [Int]

  public var elementCount: Int? { dimensions.contains { $0 < 0 } ? nil : dimensions.reduce(1, *) }
}

public struct TensorType {
  public let elementType: ElementType
  public let layout: Layout
}

public final class Environment {
  let handle: LiteRtEnvironment

  public init() throws {
    var made: LiteRtEnvironment?
    try check(LiteRtCreateEnvironment(0, nil, &made))
    handle = made!
  }

  deinit { LiteRtDestroyEnvironment(handle) }
}

public final class Options {
  let handle: LiteRtOptions

  public init() throws {
    var made: LiteRtOptions?
    try check(LiteRtCreateOptions(&made))
    handle = made!
  }

  public func setHardwareAccelerators(_ accelerators: Set<Accelerator>) throws {
    try check(LiteRtSetOptionsHardwareAccelerators(handle, accelerators.reduce(0) { $0 | $1.rawValue }))
  }

  deinit { LiteRtDestroyOptions(handle) }
}

public final class TensorBuffer {
  let handle: LiteRtTensorBuffer
  private let size: Int

  init(_ handle: LiteRtTensorBuffer, _ size: Int) { (self.handle, self.size) = (handle, size) }

  public func write<T>(_ data: [T]) throws {
    let memory = try lock(kLiteRtTensorBufferLockModeWrite)
    data.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: min($0.count, size)) }
    try check(LiteRtUnlockTensorBuffer(handle))
  }

  public func read<T>() throws -> [T] {
    let memory = try lock(kLiteRtTensorBufferLockModeRead)
    let count = size / MemoryLayout<T>.stride
    let values = Array(UnsafeBufferPointer(start: memory.bindMemory(to: T.self, capacity: count), count: count))
    try check(LiteRtUnlockTensorBuffer(handle))
    return values
  }

  private func lock(_ mode: LiteRtTensorBufferLockMode) throws -> UnsafeMutableRawPointer {
    var memory: UnsafeMutableRawPointer?
    try check(LiteRtLockTensorBuffer(handle, &memory, mode))
    return memory!
  }

  deinit { LiteRtDestroyTensorBuffer(handle) }
}

public final class CompiledModel {
  private let environment: Environment
  private let options: Options
  private let bytes: UnsafeMutableRawBufferPointer  // read as long as the model lives
  private let model: LiteRtModel
  private let compiled: LiteRtCompiledModel
  private let signature: LiteRtSignature

  public init(data: Data, environment: Environment, options: Options) throws {
    (self.environment, self.options) = (environment, options)
    bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 16)
    bytes.copyBytes(from: data)
    var (model, compiled, signature): (LiteRtModel?, LiteRtCompiledModel?, LiteRtSignature?) = (nil, nil, nil)
    try check(LiteRtCreateModelFromBuffer(environment.handle, bytes.baseAddress, bytes.count, &model))
    try check(LiteRtCreateCompiledModel(environment.handle, model, options.handle, &compiled))
    try check(LiteRtGetModelSignature(model, 0, &signature))
    (self.model, self.compiled, self.signature) = (model!, compiled!, signature!)
  }

  public func inputCount() throws -> Int { try count(LiteRtGetNumSignatureInputs) }

  public func outputCount() throws -> Int { try count(LiteRtGetNumSignatureOutputs) }

  public func inputName(inputIndex: Int) throws -> String { try name(LiteRtGetSignatureInputName, inputIndex) }

  public func outputName(outputIndex: Int) throws -> String { try name(LiteRtGetSignatureOutputName, outputIndex) }

  public func getInputTensorType(inputIndex: Int) throws -> TensorType {
    try describe(try type(LiteRtGetSignatureInputTensorByIndex, inputIndex))
  }

  public func getOutputTensorType(outputIndex: Int) throws -> TensorType {
    try describe(try type(LiteRtGetSignatureOutputTensorByIndex, outputIndex))
  }

  public func createInputBuffers() throws -> [TensorBuffer] {
    try (0..<inputCount()).map { try makeBuffer(try type(LiteRtGetSignatureInputTensorByIndex, $0)) }
  }

  public func createOutputBuffers() throws -> [TensorBuffer] {
    try (0..<outputCount()).map { try makeBuffer(try type(LiteRtGetSignatureOutputTensorByIndex, $0)) }
  }

  public func run(inputs: [TensorBuffer], outputs: [TensorBuffer]) throws {
    var given = inputs.map { $0.handle as LiteRtTensorBuffer? }
    var taken = outputs.map { $0.handle as LiteRtTensorBuffer? }
    try check(LiteRtRunCompiledModel(compiled, 0, given.count, &given, taken.count, &taken))
  }

  deinit {
    LiteRtDestroyCompiledModel(compiled)
    LiteRtDestroyModel(model)
    bytes.deallocate()
  }

  private func count(
    _ ask: (LiteRtSignature?, UnsafeMutablePointer<LiteRtParamIndex>?) -> LiteRtStatus
  ) throws -> Int {
    var found: LiteRtParamIndex = 0
    try check(ask(signature, &found))
    return Int(found)
  }

  private func name(
    _ ask: (LiteRtSignature?, LiteRtParamIndex, UnsafeMutablePointer<UnsafePointer<CChar>?>?) -> LiteRtStatus, _ index: Int
  ) throws -> String {
    var found: UnsafePointer<CChar>?
    try check(ask(signature, LiteRtParamIndex(index), &found))
    return String(cString: found!)
  }

  private func type(
    _ ask: (LiteRtSignature?, LiteRtParamIndex, UnsafeMutablePointer<LiteRtTensor?>?) -> LiteRtStatus, _ index: Int
  ) throws -> LiteRtRankedTensorType {
    var (tensor, type) = (LiteRtTensor?.none, LiteRtRankedTensorType())
    try check(ask(signature, LiteRtParamIndex(index), &tensor))
    try check(LiteRtGetRankedTensorType(tensor, &type))
    return type
  }

  private func describe(_ type: LiteRtRankedTensorType) throws -> TensorType {
    guard let element = ElementType(rawValue: type.element_type.rawValue) else { throw LiteRtError(status: 5) }
    return TensorType(elementType: element, layout: Layout(dimensions: dimensions(type)))
  }

  private func dimensions(_ type: LiteRtRankedTensorType) -> [Int] {
    withUnsafeBytes(of: type.layout.dimensions) { $0.bindMemory(to: Int32.self).prefix(Int(type.layout.rank)).map(Int.init) }
  }

  private func makeBuffer(_ type: LiteRtRankedTensorType) throws -> TensorBuffer {
    let described = try describe(type)
    guard let count = described.layout.elementCount else { throw LiteRtError(status: 3) }  // a dynamic batch
    let widths: [ElementType: Int] = [.float32: 4, .int32: 4, .int16: 2, .int8: 1, .uint8: 1]
    let size = count * widths[described.elementType]!
    var (made, copy) = (LiteRtTensorBuffer?.none, type)
    try check(LiteRtCreateManagedTensorBuffer(environment.handle, kLiteRtTensorBufferTypeHostMemory, &copy, size, &made))
    return TensorBuffer(made!, size)
  }
}
