package edgeship.pictures

import java.io.File
import java.nio.ByteBuffer

/**
 * TaughtKt STATE FILE HEIGHT WIDTH CORRECTED: what a device says that is taught the first pictures in FILE (grey, a label behind each) and
 * answers the others. In the client's folder.
 */
fun main(arguments: Array<String>) {
    val (height, width, corrected) = arguments.drop(2).map { it.toInt() }
    val model = File("head/base.tflite").readBytes()
    val base = InterpreterEngine(ByteBuffer.allocateDirect(model.size).put(model).also { it.rewind() }, ports = Learning.base)
    val folder = HeadFolder(base) { File("head", it).readBytes() }
    val bytes = ByteBuffer.wrap(File(arguments[1]).readBytes())
    val samples =
        List(bytes.remaining() / (height * width + 1)) {
            val data = ByteArray(height * width).also { pixels -> bytes.get(pixels) }
            Picture(data, height, width, 1) to bytes.get().toInt()
        }
    val state = File(arguments[0])
    val learner = HeadLearner(folder, state)
    refuse("nothing") { learner.learn() }
    refuse("strange") { learner.collect(99, samples[0].first) }
    refuse("numbers") { learner.collectFeatures(Samples(FloatArray(Learning.FEATURES) { Float.NaN }, FloatArray(Learning.OUTPUTS), 1)) }
    learner.collect(label = 1, samples[0].first)
    refuse("single") { learner.learn() }
    learner.forget()
    val others = samples.drop(corrected)
    println("before ${rate(learner, others)}")
    samples.take(corrected).forEach { (picture, label) -> learner.collect(label, picture) }
    println(learner.learn().toString().replace("LearnResult(", "result ").removeSuffix(")"))
    println("after ${rate(learner, others)}")
    val again = HeadLearner(folder, state)
    println("reopened ${rate(again, others)} ${again.samples}")
    refuse("diverged") { throw IllegalStateException(again.learn(LearnSettings(rate = 1000.0)).reason) }
    println("refused ${rate(again, others)}")
    again.collectFeatures(Samples(FloatArray(1100 * Learning.FEATURES), FloatArray(1100 * Learning.OUTPUTS), 1100))
    println("kept ${again.samples}")
    again.forget(samples = false)
    println("forgotten ${rate(HeadLearner(folder, state), others)} ${HeadLearner(folder, state).samples}")
    File(state, "samples.bin.new").writeText("of an app that was killed")
    again.forget()
    println("files ${state.list()!!.size}")
    base.close()
}

private fun rate(
    learner: HeadLearner,
    samples: List<Pair<Picture, Int>>,
): Double = samples.count { (picture, label) -> learner.classify(picture).first().index == label } / samples.size.toDouble()

private fun refuse(
    name: String,
    action: () -> Unit,
) {
    try {
        action()
        println("$name taken")
    } catch (error: RuntimeException) {
        println("$name ${error.message}")
    }
}
