package edgeship.vectors

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.time.Instant

/**
 * CountsKt FILE SIZES...: the report of the samples in FILE (test_counting.py), whose outputs, then inputs have these sizes; then
 * windows of some days.
 */
fun main(arguments: Array<String>) {
    val bytes = ByteBuffer.wrap(File(arguments[0]).readBytes()).order(ByteOrder.LITTLE_ENDIAN)
    val sizes = arguments.drop(1).map { it.toInt() }
    val counter = Counter()
    while (bytes.hasRemaining()) {
        val tensors = sizes.map { size -> FloatArray(size) { bytes.getFloat() } }
        val milliseconds = bytes.getDouble().takeIf { it >= 0 }
        val outputs = Profile.bins.outputs.size
        counter.count(tensors.take(outputs), tensors.drop(outputs), milliseconds)
    }
    val window = windowOf("2026-11-29T23:59:59.999Z")
    val install = nameInstall(ByteArray(32) { 0xab.toByte() }, window.month)
    println(counter.toReport(ReportHead(window.name, 0, install, "JVM", "mid")))
    val moments = listOf("2026-11-23T00:00:00Z", "2026-12-31T12:00:00Z", "2027-01-03T12:00:00Z", "2027-01-04T00:00:00Z")
    println(moments.map(::windowOf).joinToString(" ") { "${it.name}/${it.month}" })
}

private fun windowOf(moment: String) = Window.of(Instant.parse(moment).toEpochMilli())
