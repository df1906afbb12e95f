package sample

// The part that needs Android's classes: not compiled by the project's tests.

import android.Manifest
import android.app.Activity
import android.graphics.Bitmap
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.util.Log
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import edgeship.fashion_mnist.InterpreterEngine
import edgeship.fashion_mnist.openModel
import edgeship.fashion_mnist.readAsset
import edgeship.fashion_mnist.toPicture
import java.util.concurrent.Executors

class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var presenter: Presenter
    private lateinit var preview: ImageView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val answer = TextView(this).apply { textSize = 24f }
        presenter = Presenter(InterpreterEngine(openModel(this))) { text -> runOnUiThread { answer.text = text } }
        preview = ImageView(this)
        val photo = Button(this).apply { text = "Photo" }
        photo.setOnClickListener { startActivityForResult(android.content.Intent(MediaStore.ACTION_IMAGE_CAPTURE), PHOTO) }
        val test = Button(this).apply { text = "Self-test" }
        test.setOnClickListener {
            worker.execute { Log.i("selftest", presenter.onSelfTest(Build.MODEL) { readAsset(this, "goldens/$it") }) }
        }
        val screen = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        listOf(preview, answer, photo, test).forEach(screen::addView)
        setContentView(screen)
        requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
    }

    /** The camera app's small picture, which is upright. */
    @Deprecated("Kept for an activity without libraries")
    override fun onActivityResult(request: Int, result: Int, data: android.content.Intent?) {
        @Suppress("DEPRECATION")
        val bitmap = data?.extras?.get("data") as? Bitmap ?: return
        preview.setImageBitmap(bitmap)
        worker.execute { presenter.onPicture(toPicture(bitmap, exifOrientation = 1)) }
    }

    private companion object {
        const val PHOTO = 1
    }
}
