// The part that needs Apple's classes. It was not compiled when it was generated.
#if canImport(UIKit)
import CoreVideo
import UIKit

/// A photo as it was taken: scaling, turning and normalizing are the client's.
public func toPicture(_ image: UIImage) -> Picture? {
  guard let pixels = image.cgImage else { return nil }
  let (height, width) = (pixels.height, pixels.width)
  var data = [UInt8](repeating: 0, count: height * width * 4)
  let info = CGImageAlphaInfo.noneSkipLast.rawValue
  let space = CGColorSpace(name: CGColorSpace.sRGB)!
  guard
    let context = CGContext(
      data: &data, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width, space: space, bitmapInfo: info)
  else { return nil }
  context.draw(pixels, in: CGRect(x: 0, y: 0, width: width, height: height))
  let colours = (0..<height * width * 3).map { data[$0 / 3 * 4 + $0 % 3] }
  return Picture(data: colours, height: height, width: width, channels: 3, orientation: exif(image.imageOrientation))
}

/// A camera's frame (kCVPixelFormatType_32BGRA). `orientation`: EXIF, 1 to 8; 6 for the back camera of a phone held upright.
public func toPicture(_ frame: CVPixelBuffer, orientation: Int) -> Picture? {
  guard CVPixelBufferGetPixelFormatType(frame) == kCVPixelFormatType_32BGRA else { return nil }
  CVPixelBufferLockBaseAddress(frame, .readOnly)
  defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
  guard let base = CVPixelBufferGetBaseAddress(frame) else { return nil }
  let (height, width) = (CVPixelBufferGetHeight(frame), CVPixelBufferGetWidth(frame))
  let rowBytes = CVPixelBufferGetBytesPerRow(frame)  // rows may be padded
  var data = [UInt8](repeating: 0, count: height * width * 3)
  for y in 0..<height {
    let row = (base + y * rowBytes).assumingMemoryBound(to: UInt8.self)
    for x in 0..<width {
      for channel in 0..<3 { data[(y * width + x) * 3 + channel] = row[4 * x + 2 - channel] }
    }
  }
  return Picture(data: data, height: height, width: width, channels: 3, orientation: orientation)
}

private func exif(_ orientation: UIImage.Orientation) -> Int {
  switch orientation {
  case .up: return 1
  case .upMirrored: return 2
  case .down: return 3
  case .downMirrored: return 4
  case .leftMirrored: return 5
  case .right: return 6
  case .rightMirrored: return 7
  case .left: return 8
  @unknown default: return 1
  }
}
#endif
