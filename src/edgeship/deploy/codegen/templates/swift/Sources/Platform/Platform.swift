// The part that needs Apple's classes. It was not compiled when it was generated.
#if canImport(UIKit)
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
