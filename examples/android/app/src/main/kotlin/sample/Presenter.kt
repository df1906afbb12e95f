package sample

import edgeship.fashion_mnist.Client
import edgeship.fashion_mnist.Engine
import edgeship.fashion_mnist.Picture
import edgeship.fashion_mnist.SelfTest

/** What the screen says, without Android: [show] is called with each new text. */
class Presenter(private val engine: Engine, private val show: (String) -> Unit) {
    private val client = Client(engine)

    fun onPicture(picture: Picture) {
        val best = client.classify(picture, 1).firstOrNull() ?: return show("nothing is sure enough")
        show("%s  %.0f %%".format(best.label.ifEmpty { "class ${best.index}" }, 100 * best.score))
    }

    /** The result as JSON, for `edgeship report --add`. */
    fun onSelfTest(device: String, read: (String) -> ByteArray): String {
        val result = SelfTest(engine, device, null, read).run()
        show(if (result.passed) "self-test passed" else "self-test FAILED: ${result.failures.first()}")
        return result.json
    }
}
