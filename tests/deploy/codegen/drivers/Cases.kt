package edgeship.colour_squares

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** CasesKt FILE OUT: the tensors of the pictures in FILE (pictures.py) one after the other in OUT. */
fun main(arguments: Array<String>) {
    val content = ByteBuffer.wrap(File(arguments[0]).readBytes()).order(ByteOrder.LITTLE_ENDIAN)
    File(arguments[1]).outputStream().use { out ->
        while (content.hasRemaining()) {
            val n = IntArray(18) { content.getInt() }
            val factors = FloatArray(2 * n[13]) { content.getFloat() }
            val pixels = ByteArray(n[14] * n[15] * n[16]).also { content.get(it) }
            val steps =
                PictureSteps(
                    n[0],
                    n[1],
                    n[3] == 1,
                    n[4],
                    n.slice(5..7),
                    Ground.entries[n[8]],
                    Resampler.entries[n[9]],
                    Fit.entries[n[10]],
                    n[11],
                    n[12] == 1,
                )
            val edge = Edge(0, DType.FLOAT32, n[0] * n[1] * n[2], 0f, 0)
            val (multiply, add) = Pair(factors.copyOf(n[13]), factors.copyOfRange(n[13], 2 * n[13]))
            val input = Input("image", Kind.IMAGE, edge, n[2], steps, multiply = multiply, add = add)
            val tensor = preprocess(input, Picture(pixels, n[14], n[15], n[16], n[17]))
            val bytes = ByteBuffer.allocate(4 * tensor.size).order(ByteOrder.LITTLE_ENDIAN)
            tensor.forEach { bytes.putFloat(it) }
            out.write(bytes.array())
        }
    }
}
