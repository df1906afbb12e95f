package sample

import edgeship.colour_squares.InterpreterEngine
import edgeship.colour_squares.Picture
import java.io.File
import java.nio.ByteBuffer

/** PresentedKt MODEL GOLDENS HEIGHT WIDTH: what the sample app's screen says of golden 0, and after the self-test. */
fun main(arguments: Array<String>) {
    val model = File(arguments[0]).readBytes()
    val direct = ByteBuffer.allocateDirect(model.size).put(model)
    direct.rewind()
    val presenter = Presenter(InterpreterEngine(direct)) { println(it) }
    val pixels = File(arguments[1], "0.image.raw").readBytes()
    presenter.onPicture(Picture(pixels, arguments[2].toInt(), arguments[3].toInt(), 3))
    presenter.onSelfTest("JVM") { File(arguments[1], it).readBytes() }
}
