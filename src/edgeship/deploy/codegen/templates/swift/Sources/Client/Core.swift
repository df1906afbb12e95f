// The core of a client: from what an app has in hand to the model's tensors, and from its outputs to answers.
// The same for every model; what differs is in Contract.swift. Needs nothing but the language.

public enum Kind { case image, audio, window, table, text, tensor }

public enum DType: Int {
  case float32, int8, uint8, int16, int32

  public var bytes: Int { [4, 1, 1, 2, 4][rawValue] }
  var lowest: Double { [0, -128, 0, -32768, -2_147_483_648][rawValue] }
  var highest: Double { [0, 127, 255, 32767, 2_147_483_647][rawValue] }
}

public enum Ground { case never, dark, light }
public enum Resampler { case area, pilBilinear, tfBilinear }
public enum Fit { case stretch, contain, cover }

/// How a tensor lies in the model's file: its position among inputs or outputs, its form, its quantization (scale 0: none).
public struct Edge {
  public let index: Int
  public let dtype: DType
  public let size: Int
  public let scale: Float
  public let zeroPoint: Int
}

/// The steps of a picture, in this order. `orient`: whether the orientation that the camera wrote (EXIF) is applied. `flatten`:
/// the ground under what is transparent, -1 where no opacity is taken. `grey`: what red, green and blue count, in thousandths.
/// `invert`: a picture whose rim is not as dark (light) as that is inverted. `border`: what lies around it, -1 for the mean of
/// its rim. `swap`: whether red and blue change places.
public struct PictureSteps {
  let height, width: Int
  let orient: Bool
  let flatten: Int
  let grey: [Int]
  let invert: Ground
  let resampler: Resampler
  let fit: Fit
  let border: Int
  let swap: Bool
}

/// A column: a category of these values, `unknown` for others (-1: refused), or without any a number, `missing` for no text.
public struct Column {
  let values: [String]
  let unknown: Int
  var missing: Float? = nil
}

/// An input. `channels`: of an image's tensor, else of the raw data. The factors are one number, or one a channel. `buckets`: how
/// many ids the words of a text have.
public struct Input {
  public let name: String
  public let kind: Kind
  public let edge: Edge
  let channels: Int
  var picture: PictureSteps? = nil
  var mono = false, rate = 0
  var multiply: [Float] = [], add: [Float] = []
  var columns: [Column] = []
  var buckets = 0
}

/// An output; `tolerance` is the largest difference of a right device from the goldens.
public struct Output {
  public let name: String
  public let edge: Edge
  public let tolerance: Float
  public let labels: [String]
  public let decision: Decision
}

/// A picture: bytes row by row, 1, 3 (red, green, blue) or 4 (with opacity) channels; `orientation` is EXIF's, 1 to 8.
public struct Picture {
  let data: [UInt8]
  let height, width, channels: Int
  var orientation = 1

  public init(data: [UInt8], height: Int, width: Int, channels: Int, orientation: Int = 1) {
    (self.data, self.height, self.width) = (data, height, width)
    (self.channels, self.orientation) = (channels, orientation)
  }
}

/// What an app has in hand: a picture, PCM (interleaved; rate 0: unknown), the texts of a table's row, one text, or numbers.
public enum Raw {
  case picture(Picture)
  case sound([Int16], rate: Int)
  case row([String])
  case text(String)
  case numbers([Float])
}

/// What runs the model: bytes of each input and output, in the contract's order.
public protocol Engine {
  var name: String { get }
  func run(_ inputs: [[UInt8]]) throws -> [[UInt8]]
  func close()
}

public struct ClientError: Error, CustomStringConvertible {
  public let description: String
}

/// The float32 tensor of one sample. Throws a `ClientError` for what this input does not take.
public func preprocess(_ input: Input, _ raw: Raw) throws -> [Float] {
  switch raw {
  case .picture(let picture): return try readPicture(input, picture)
  case .sound(let samples, let rate): return try readSound(input, samples, rate)
  case .row(let texts):
    try ensure(texts.count == input.columns.count, "\(texts.count) texts, which '\(input.name)' does not take")
    return try readNumbers(input, zip(input.columns, texts).map(readText))
  case .text(let text): return readWords(input, text)
  case .numbers(let values): return try readNumbers(input, values)
  }
}

/// The bytes that the model takes for a tensor: halves are rounded to the even neighbour.
public func quantize(_ edge: Edge, _ values: [Float]) -> [UInt8] {
  if edge.dtype == .float32 { return values.withUnsafeBytes { Array($0) } }
  let integers = values.map { value -> Int32 in
    let steps = edge.scale > 0 ? value / edge.scale : value
    let rounded = Double(steps).rounded(.toNearestOrEven) + Double(edge.zeroPoint)
    return Int32(min(edge.dtype.highest, max(edge.dtype.lowest, rounded)))
  }
  switch edge.dtype {
  case .int16: return integers.map { Int16($0) }.withUnsafeBytes { Array($0) }
  case .int32: return integers.withUnsafeBytes { Array($0) }
  default: return integers.map { UInt8(truncatingIfNeeded: $0) }
  }
}

/// An output's float32 numbers.
public func dequantize(_ edge: Edge, _ bytes: [UInt8]) -> [Float] {
  (0..<edge.size).map { at in
    let quantized = bytes.withUnsafeBytes { place -> Int in
      switch edge.dtype {
      case .float32: return 0
      case .int8: return Int(place.loadUnaligned(fromByteOffset: at, as: Int8.self))
      case .uint8: return Int(place[at])
      case .int16: return Int(place.loadUnaligned(fromByteOffset: 2 * at, as: Int16.self))
      case .int32: return Int(place.loadUnaligned(fromByteOffset: 4 * at, as: Int32.self))
      }
    }
    if edge.dtype == .float32 {
      return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4 * at, as: Float.self) }
    }
    return edge.scale > 0 ? Float(quantized - edge.zeroPoint) * edge.scale : Float(quantized)
  }
}

/// The largest scores, the largest first; of equal ones the first.
public func top(_ scores: [Float], _ count: Int, labels: [String] = []) -> [(index: Int, label: String, score: Float)] {
  let order = scores.indices.sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
  return order.prefix(count).map { ($0, $0 < labels.count ? labels[$0] : "", scores[$0]) }
}

func ensure(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
  if !holds { throw ClientError(description: otherwise()) }
}

private func floorDiv(_ total: Int, _ divisor: Int) -> Int { total / divisor - (total % divisor < 0 ? 1 : 0) }

/// The nearest integer, halves upwards.
private func roundDiv(_ total: Int, _ divisor: Int) -> Int { floorDiv(2 * total + divisor, 2 * divisor) }

/// The affine step. Swift does not fuse the product and the sum.
private func shift(_ input: Input, _ channel: Int, _ value: Float) -> Float {
  if input.multiply.isEmpty { return value }
  let at = input.multiply.count > 1 ? channel : 0
  let product = value * input.multiply[at]
  return product + input.add[at]
}

private func readNumbers(_ input: Input, _ values: [Float]) throws -> [Float] {
  try ensure(values.count == input.edge.size, "\(values.count) values, which '\(input.name)' does not take")
  return values.indices.map { shift(input, $0 % input.channels, values[$0]) }
}

private func readSound(_ input: Input, _ samples: [Int16], _ rate: Int) throws -> [Float] {
  let (channels, kept) = (input.channels, input.mono ? 1 : input.channels)
  try ensure(rate == 0 || input.rate == 0 || rate == input.rate, "\(rate) Hz, and it takes \(input.rate)")
  try ensure(samples.count % channels == 0, "'\(input.name)' takes \(channels) channels")
  return (0..<input.edge.size).map { at in  // zeros behind the end
    let from = at / kept * channels
    if from >= samples.count { return shift(input, at % kept, 0) }
    let sum = input.mono ? samples[from..<from + channels].reduce(0) { $0 + Int($1) } : Int(samples[from + at % kept])
    return shift(input, at % kept, Float(input.mono ? roundDiv(sum, channels) : sum))
  }
}

/// A picture as the steps before resizing leave it: upright, of the model's channels.
private struct Plane {
  var values: [Int]
  let height, width, channels: Int
}

private func readPicture(_ input: Input, _ raw: Picture) throws -> [Float] {
  guard let steps = input.picture else { throw ClientError(description: "'\(input.name)' takes no picture") }
  try ensure((1...8).contains(raw.orientation), "orientation \(raw.orientation) is not 1 to 8")
  try ensure([1, 3].contains(raw.channels) || (raw.channels == 4 && steps.flatten >= 0), "\(raw.channels) channels")
  try ensure(raw.height > 0 && raw.width > 0 && raw.data.count == raw.height * raw.width * raw.channels, "another size")
  var plane = convertColours(input, steps, raw, steps.orient ? raw.orientation : 1)
  let (sum, count) = sumRim(plane)
  let dark = steps.invert == .dark && 2 * sum > 255 * count
  let inverted = dark || (steps.invert == .light && 2 * sum < 255 * count)
  if inverted { for at in plane.values.indices { plane.values[at] = 255 - plane.values[at] } }
  let border = steps.border >= 0 ? steps.border : roundDiv(inverted ? 255 * count - sum : sum, count)
  let resized: [Int]
  switch steps.resampler {
  case .area: resized = resizeArea(steps, plane, border)
  case .pilBilinear: resized = resizeInParts(steps, plane, border, resizePil)
  case .tfBilinear: resized = resizeInParts(steps, plane, border, resizeTf)
  }
  let levels = (0..<256 * input.channels).map { shift(input, $0 / 256, Float($0 % 256)) }
  return resized.indices.map { levels[$0 % input.channels * 256 + resized[$0]] }
}

private func convertColours(_ input: Input, _ steps: PictureSteps, _ raw: Picture, _ orientation: Int) -> Plane {
  let turned = orientation > 4
  let (upsideDown, mirrored) = ([3, 4, 7, 8].contains(orientation), [2, 3, 6, 7].contains(orientation))
  let (height, width) = turned ? (raw.width, raw.height) : (raw.height, raw.width)
  var values = [Int]()
  values.reserveCapacity(height * width * input.channels)
  var colour = [0, 0, 0]
  for y in 0..<height {
    for x in 0..<width {
      let (v, u) = (upsideDown ? height - 1 - y : y, mirrored ? width - 1 - x : x)
      let from = (turned ? u * raw.width + v : v * raw.width + u) * raw.channels
      let opacity = raw.channels == 4 ? Int(raw.data[from + 3]) : 255
      for c in 0..<3 {
        let value = Int(raw.data[from + (raw.channels > 1 ? c : 0)])
        colour[c] = opacity == 255 ? value : roundDiv(value * opacity + steps.flatten * (255 - opacity), 255)
      }
      if input.channels == 3 {
        values += [colour[steps.swap ? 2 : 0], colour[1], colour[steps.swap ? 0 : 2]]
      } else {
        let sum = steps.grey[0] * colour[0] + steps.grey[1] * colour[1] + steps.grey[2] * colour[2]
        values.append(raw.channels == 1 ? colour[0] : roundDiv(sum, 1000))
      }
    }
  }
  return Plane(values: values, height: height, width: width, channels: input.channels)
}

/// The sum of the values on the outermost ring, each pixel once, and how many they are.
private func sumRim(_ plane: Plane) -> (Int, Int) {
  var (sum, count) = (0, 0)
  for y in 0..<plane.height {
    let whole = y == 0 || y == plane.height - 1 || plane.width == 1
    for x in stride(from: 0, to: plane.width, by: whole ? 1 : plane.width - 1) {
      for c in 0..<plane.channels { sum += plane.values[(y * plane.width + x) * plane.channels + c] }
      count += plane.channels
    }
  }
  return (sum, count)
}

/// Numerator and denominator of the scale that both axes of `contain` and `cover` have.
private func findScale(_ steps: PictureSteps, _ plane: Plane) -> (Int, Int) {
  let wide = steps.width * plane.height <= steps.height * plane.width
  return (steps.fit == .contain) == wide ? (steps.width, plane.width) : (steps.height, plane.height)
}

/// The source pixels of a target pixel, from `start` on, with their weights.
private struct Taps {
  let start: Int
  let weights: [Int]
}

/// Overlaps in 1/n source pixels: target pixel t covers [(t - first) d, (t + 1 - first) d).
private func areaTaps(_ source: Int, _ target: Int, _ scale: (Int, Int)) -> [Taps] {
  let (n, d) = scale
  let first = floorDiv(target * d - source * n + d, 2 * d)
  return (0..<target).map { t in
    let (from, to) = (max(0, (t - first) * d), min(source * n, (t + 1 - first) * d))
    if to <= from { return Taps(start: 0, weights: []) }
    let pixels = from / n..<(to + n - 1) / n
    return Taps(start: from / n, weights: pixels.map { min(($0 + 1) * n, to) - max($0 * n, from) })
  }
}

/// Triangles, in 1/2^22.
private func pilTaps(_ source: Int, _ target: Int) -> [Taps] {
  let reach = 2 * max(source, target)
  return (0..<target).map { t in
    let centre = (2 * t + 1) * source
    let start = max(0, floorDiv(centre - reach - target, 2 * target))
    let end = min(source, (centre + reach) / (2 * target) + 2)
    let heights = (start..<end).map { max(0, reach - abs((2 * $0 + 1) * target - centre)) }
    let total = heights.reduce(0, +)
    return Taps(start: start, weights: heights.map { roundDiv($0 << 22, total) })
  }
}

/// The two neighbours, in 1/(2 target); beyond an edge both are the edge's pixel.
private func tfTaps(_ source: Int, _ target: Int) -> [Taps] {
  (0..<target).map { t in
    let place = (2 * t + 1) * source - target
    let first = floorDiv(place, 2 * target)
    let right = place - 2 * target * first
    if first < 0 { return Taps(start: 0, weights: [2 * target]) }
    if first + 1 >= source { return Taps(start: source - 1, weights: [2 * target]) }
    return Taps(start: first, weights: [2 * target - right, right])
  }
}

private func sumAcross(_ plane: Plane, _ taps: [Taps]) -> [Int] {
  var sums = [Int]()
  sums.reserveCapacity(plane.height * taps.count * plane.channels)
  plane.values.withUnsafeBufferPointer { values in
    for y in 0..<plane.height {
      for tap in taps {
        let from = (y * plane.width + tap.start) * plane.channels
        for c in 0..<plane.channels {
          var sum = 0
          for i in tap.weights.indices { sum += tap.weights[i] * values[from + i * plane.channels + c] }
          sums.append(sum)
        }
      }
    }
  }
  return sums
}

private func sumDown(_ values: [Int], _ row: Int, _ taps: [Taps]) -> [Int] {
  var sums = [Int](repeating: 0, count: taps.count * row)
  for (t, tap) in taps.enumerated() {
    for (i, weight) in tap.weights.enumerated() {
      let from = (tap.start + i) * row
      for at in 0..<row { sums[t * row + at] += weight * values[from + at] }
    }
  }
  return sums
}

/// Each target pixel is the mean of what it covers, rounded once.
private func resizeArea(_ steps: PictureSteps, _ plane: Plane, _ border: Int) -> [Int] {
  let stretched = steps.fit == .stretch
  let across = stretched ? (steps.width, plane.width) : findScale(steps, plane)
  let down = stretched ? (steps.height, plane.height) : across
  let (x, y) = (areaTaps(plane.width, steps.width, across), areaTaps(plane.height, steps.height, down))
  let (row, whole) = (steps.width * plane.channels, across.1 * down.1)
  let sums = sumDown(sumAcross(plane, x), row, y)
  let (coveredX, coveredY) = (x.map { $0.weights.reduce(0, +) }, y.map { $0.weights.reduce(0, +) })
  return sums.indices.map {
    let outside = whole - coveredY[$0 / row] * coveredX[$0 % row / plane.channels]
    return roundDiv(sums[$0] + outside * border, whole)
  }
}

/// The bilinear ones: a crop of the picture becomes a content within the tensor.
private func resizeInParts(
  _ steps: PictureSteps, _ plane: Plane, _ border: Int, _ resize: (Plane, Int, Int) -> [Int]
) -> [Int] {
  let (n, d) = findScale(steps, plane)
  if steps.fit == .stretch { return resize(plane, steps.height, steps.width) }
  if steps.fit == .cover {
    let high = max(1, min(plane.height, roundDiv(steps.height * d, n)))
    let wide = max(1, min(plane.width, roundDiv(steps.width * d, n)))
    return resize(cut(plane, (plane.height - high) / 2, (plane.width - wide) / 2, high, wide), steps.height, steps.width)
  }
  let high = max(1, min(steps.height, roundDiv(plane.height * n, d)))
  let wide = max(1, min(steps.width, roundDiv(plane.width * n, d)))
  let content = resize(plane, high, wide)
  var whole = [Int](repeating: border, count: steps.height * steps.width * plane.channels)
  let row = wide * plane.channels
  for y in 0..<high {
    let to = (((steps.height - high) / 2 + y) * steps.width + (steps.width - wide) / 2) * plane.channels
    whole.replaceSubrange(to..<to + row, with: content[y * row..<(y + 1) * row])
  }
  return whole
}

private func cut(_ plane: Plane, _ top: Int, _ left: Int, _ height: Int, _ width: Int) -> Plane {
  let values = (0..<height).flatMap { y -> ArraySlice<Int> in
    let from = ((top + y) * plane.width + left) * plane.channels
    return plane.values[from..<from + width * plane.channels]
  }
  return Plane(values: values, height: height, width: width, channels: plane.channels)
}

private func resizePil(_ plane: Plane, _ height: Int, _ width: Int) -> [Int] {
  let toLevel = { (sum: Int) in min(255, (sum + (1 << 21)) >> 22) }
  let across = sumAcross(plane, pilTaps(plane.width, width)).map(toLevel)
  return sumDown(across, width * plane.channels, pilTaps(plane.height, height)).map(toLevel)
}

private func resizeTf(_ plane: Plane, _ height: Int, _ width: Int) -> [Int] {
  let across = sumAcross(plane, tfTaps(plane.width, width))
  return sumDown(across, width * plane.channels, tfTaps(plane.height, height)).map { roundDiv($0, 4 * height * width) }
}
