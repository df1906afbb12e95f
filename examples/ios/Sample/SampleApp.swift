// The part that needs Apple's classes: not compiled by the project's tests.
#if canImport(SwiftUI) && canImport(UIKit)
import AVFoundation
import SwiftUI

@main
struct SampleApp: App {
  var body: some Scene {
    WindowGroup { Screen() }
  }
}

struct Screen: View {
  @StateObject private var camera = Camera()

  var body: some View {
    VStack {
      Preview(session: camera.session)
      Text(camera.answer).font(.title)
      Text(camera.verdict)
      Button("Self-test") { camera.onSelfTest() }
    }
    .task { await camera.start() }
  }
}

struct Preview: UIViewRepresentable {
  let session: AVCaptureSession

  final class Layered: UIView {
    override static var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }
  }

  func makeUIView(context: Context) -> Layered {
    let view = Layered()
    (view.layer as! AVCaptureVideoPreviewLayer).session = session
    return view
  }

  func updateUIView(_ view: Layered, context: Context) {}
}

/// Each frame of the camera to a label. Engine and session are used on `queue` alone, which drops frames that come too early.
final class Camera: NSObject, ObservableObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
  @Published private(set) var answer = ""
  @Published private(set) var verdict = ""
  let session = AVCaptureSession()
  private let queue = DispatchQueue(label: "camera")
  private var classifier: Presenter?
  private var tester: Presenter?

  func start() async {
    let allowed = await AVCaptureDevice.requestAccess(for: .video)
    queue.async { [self] in
      do {
        try openModel()
        if allowed { try openCamera() } else { show("no access to the camera") }
      } catch { show("\(error)") }
    }
  }

  func onSelfTest() {
    queue.async { [self] in
      print(tester?.onSelfTest(device: UIDevice.current.model) { try readFile("goldens/\($0)") } ?? "")
    }
  }

  func captureOutput(_ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection) {
    // The sensor lies on its side in a phone that is held upright.
    if let frame = sample.imageBuffer, let picture = toPicture(frame, orientation: 6) { classifier?.onPicture(picture) }
  }

  private func openModel() throws {
    let engine = try TensorFlowLiteEngine(model: try readFile("model.tflite"))
    classifier = Presenter(engine) { [weak self] text in self?.show(text) }
    tester = Presenter(engine) { [weak self] text in DispatchQueue.main.async { self?.verdict = text } }
  }

  private func openCamera() throws {
    guard let device = AVCaptureDevice.default(for: .video) else { return show("no camera") }
    let output = AVCaptureVideoDataOutput()
    output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
    output.setSampleBufferDelegate(self, queue: queue)
    session.addInput(try AVCaptureDeviceInput(device: device))
    session.addOutput(output)
    session.startRunning()
  }

  private func show(_ text: String) {
    DispatchQueue.main.async { self.answer = text }
  }
}

private func readFile(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: Bundle.main.resourceURL!.appendingPathComponent(name)))
}
#endif
