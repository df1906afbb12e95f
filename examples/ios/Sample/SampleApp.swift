// The part that needs Apple's classes: not compiled by the project's tests.
#if canImport(SwiftUI) && canImport(UIKit)
import PhotosUI
import SwiftUI

@main
struct SampleApp: App {
  var body: some Scene {
    WindowGroup { Screen() }
  }
}

struct Screen: View {
  @State private var answer = ""
  @State private var item: PhotosPickerItem?
  @State private var photo: UIImage?
  @State private var presenter: Presenter?

  var body: some View {
    VStack {
      if let photo { Image(uiImage: photo).resizable().scaledToFit() }
      Text(answer).font(.title)
      PhotosPicker("Photo", selection: $item, matching: .images)
      Button("Self-test") {
        Task.detached { [presenter] in
          print(presenter?.onSelfTest(device: UIDevice.current.model) { try readFile("goldens/\($0)") } ?? "")
        }
      }
    }
    .onAppear {
      do {
        presenter = Presenter(try TensorFlowLiteEngine(model: try readFile("model.tflite"))) { text in
          Task { @MainActor in answer = text }
        }
      } catch { answer = "\(error)" }
    }
    .onChange(of: item) { _, chosen in
      Task {
        guard let data = try? await chosen?.loadTransferable(type: Data.self), let image = UIImage(data: data) else { return }
        photo = image
        if let picture = toPicture(image) { presenter?.onPicture(picture) }
      }
    }
  }
}

private func readFile(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: Bundle.main.resourceURL!.appendingPathComponent(name)))
}
#endif
