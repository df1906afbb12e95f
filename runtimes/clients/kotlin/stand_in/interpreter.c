/* The native half of the stand-in for org.tensorflow.lite.Interpreter, over TensorFlow Lite's C API. */
#include <jni.h>

#include "tflite_c_api.h"

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_org_tensorflow_lite_Interpreter_##name
#define INTERPRETER ((TfLiteInterpreter *)(intptr_t)interpreter)
#define TENSOR ((TfLiteTensor *)(intptr_t)tensor)

NATIVE(jlong, create)(JNIEnv *env, jclass self, jobject model, jint threads) {
  const size_t size = (size_t)(*env)->GetDirectBufferCapacity(env, model);
  TfLiteModel *loaded = TfLiteModelCreate((*env)->GetDirectBufferAddress(env, model), size);
  TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
  (void)self;
  if (!loaded) return 0;
  TfLiteInterpreterOptionsSetNumThreads(options, threads);
  return (jlong)(intptr_t)TfLiteInterpreterCreate(loaded, options);
}

NATIVE(jint, allocate)(JNIEnv *env, jclass self, jlong interpreter) {
  (void)env, (void)self;
  return (jint)TfLiteInterpreterAllocateTensors(INTERPRETER);
}

NATIVE(jint, invoke)(JNIEnv *env, jclass self, jlong interpreter) {
  (void)env, (void)self;
  return (jint)TfLiteInterpreterInvoke(INTERPRETER);
}

NATIVE(void, delete)(JNIEnv *env, jclass self, jlong interpreter) {
  (void)env, (void)self;
  TfLiteInterpreterDelete(INTERPRETER);
}

NATIVE(jlong, input)(JNIEnv *env, jclass self, jlong interpreter, jint index) {
  (void)env, (void)self;
  if (index < 0 || index >= TfLiteInterpreterGetInputTensorCount(INTERPRETER)) return 0;
  return (jlong)(intptr_t)TfLiteInterpreterGetInputTensor(INTERPRETER, index);
}

NATIVE(jlong, output)(JNIEnv *env, jclass self, jlong interpreter, jint index) {
  (void)env, (void)self;
  if (index < 0 || index >= TfLiteInterpreterGetOutputTensorCount(INTERPRETER)) return 0;
  return (jlong)(intptr_t)TfLiteInterpreterGetOutputTensor(INTERPRETER, index);
}

NATIVE(jint, type)(JNIEnv *env, jclass self, jlong tensor) {
  (void)env, (void)self;
  return (jint)TfLiteTensorType(TENSOR);
}

NATIVE(jlong, size)(JNIEnv *env, jclass self, jlong tensor) {
  (void)env, (void)self;
  return (jlong)TfLiteTensorByteSize(TENSOR);
}

NATIVE(jfloat, scale)(JNIEnv *env, jclass self, jlong tensor) {
  (void)env, (void)self;
  return TfLiteTensorQuantizationParams(TENSOR).scale;
}

NATIVE(jint, zeroPoint)(JNIEnv *env, jclass self, jlong tensor) {
  (void)env, (void)self;
  return TfLiteTensorQuantizationParams(TENSOR).zero_point;
}

NATIVE(jint, put)(JNIEnv *env, jclass self, jlong tensor, jobject bytes) {
  (void)self;
  return (jint)TfLiteTensorCopyFromBuffer(TENSOR, (*env)->GetDirectBufferAddress(env, bytes), TfLiteTensorByteSize(TENSOR));
}

NATIVE(jint, get)(JNIEnv *env, jclass self, jlong tensor, jobject bytes) {
  (void)self;
  return (jint)TfLiteTensorCopyToBuffer(TENSOR, (*env)->GetDirectBufferAddress(env, bytes), TfLiteTensorByteSize(TENSOR));
}
