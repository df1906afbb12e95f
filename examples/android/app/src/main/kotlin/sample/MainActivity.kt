package sample

// The part that needs Android's classes: not compiled by the project's tests.

import android.Manifest
import android.os.Build
import android.os.Bundle
import android.util.Log
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.view.LifecycleCameraController
import androidx.camera.view.PreviewView
import edgeship.fashion_mnist.InterpreterEngine
import edgeship.fashion_mnist.openModel
import edgeship.fashion_mnist.readAsset
import edgeship.fashion_mnist.toPicture
import java.util.concurrent.Executors

/** Each frame of the camera to a label. The engine is used on [worker] alone; frames that come too early are dropped. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var camera: LifecycleCameraController
    private val permission =
        registerForActivityResult(ActivityResultContracts.RequestPermission()) { allowed ->
            if (allowed) camera.bindToLifecycle(this)
        }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val answer = TextView(this).apply { textSize = 24f }
        val verdict = TextView(this)
        val engine = InterpreterEngine(openModel(this))
        val classifier = Presenter(engine) { text -> runOnUiThread { answer.text = text } }
        val tester = Presenter(engine) { text -> runOnUiThread { verdict.text = text } }
        camera = LifecycleCameraController(this)
        camera.setImageAnalysisAnalyzer(worker) { frame ->
            frame.use { classifier.onPicture(toPicture(it.toBitmap(), toExif(it.imageInfo.rotationDegrees))) }
        }
        val test = Button(this).apply { text = "Self-test" }
        test.setOnClickListener {
            worker.execute { Log.i("selftest", tester.onSelfTest(Build.MODEL) { readAsset(this, "goldens/$it") }) }
        }
        val screen = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        screen.addView(PreviewView(this).apply { controller = camera }, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
        listOf(answer, verdict, test).forEach(screen::addView)
        setContentView(screen)
        permission.launch(Manifest.permission.CAMERA)
    }

    /** What EXIF calls a picture that must be turned clockwise by so many degrees. */
    private fun toExif(degrees: Int) = mapOf(0 to 1, 90 to 6, 180 to 3, 270 to 8).getValue(degrees)
}
