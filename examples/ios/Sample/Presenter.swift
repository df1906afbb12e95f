/// What the screen says, without UIKit: `show` is called with each new text.
final class Presenter {
  private let client: Client
  private let show: (String) -> Void

  init(_ engine: Engine, show: @escaping (String) -> Void) {
    (client, self.show) = (Client(engine), show)
  }

  func onPicture(_ picture: Picture) {
    do {
      guard let best = try client.classify(.picture(picture), count: 1).first else { return show("nothing is sure enough") }
      show("\(best.label.isEmpty ? "class \(best.index)" : best.label)  \(Int((100 * best.score).rounded())) %")
    } catch { show("\(error)") }
  }

  /// The result as JSON, for `edgeship report --add`.
  func onSelfTest(device: String, read: @escaping (String) throws -> [UInt8]) -> String {
    let test = SelfTest(client.engine, device: device, read: read)
    test.run()
    show(test.failures.first.map { "self-test FAILED: \($0.name), \($0.what): \($0.detail)" } ?? "self-test passed")
    return test.json
  }
}
