/* The native half of the stand-ins for LiteRT's CompiledModel and TensorBuffer in Kotlin, over LiteRT's C API. */
#include <jni.h>
#include <stdlib.h>
#include <string.h>

#include "litert_c_api.h"

LiteRtStatus LiteRtCreateModelFromFile(LiteRtEnvironment environment, const char *path, LiteRtModel *model);

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_com_google_ai_edge_litert_##name
#define MODEL ((loaded *)(intptr_t)model)
#define BUFFER ((LiteRtTensorBuffer)(intptr_t)buffer)

typedef struct {
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtOptions options;
  LiteRtCompiledModel compiled;
  LiteRtSignature signature;
} loaded;

NATIVE(void, CompiledModel_delete)(JNIEnv *env, jclass self, jlong model) {
  (void)env, (void)self;
  if (MODEL->compiled) LiteRtDestroyCompiledModel(MODEL->compiled);
  if (MODEL->options) LiteRtDestroyOptions(MODEL->options);
  if (MODEL->model) LiteRtDestroyModel(MODEL->model);
  if (MODEL->environment) LiteRtDestroyEnvironment(MODEL->environment);
  free(MODEL);
}

NATIVE(jlong, CompiledModel_open)(JNIEnv *env, jclass self, jstring path) {
  loaded *m = calloc(1, sizeof *m);
  const char *text = (*env)->GetStringUTFChars(env, path, NULL);
  const int opened = !LiteRtCreateEnvironment(0, NULL, &m->environment) &&
                     !LiteRtCreateModelFromFile(m->environment, text, &m->model) &&
                     !LiteRtCreateOptions(&m->options) &&
                     !LiteRtSetOptionsHardwareAccelerators(m->options, kLiteRtHwAcceleratorCpu) &&
                     !LiteRtCreateCompiledModel(m->environment, m->model, m->options, &m->compiled) &&
                     !LiteRtGetModelSignature(m->model, 0, &m->signature);
  (*env)->ReleaseStringUTFChars(env, path, text);
  if (opened) return (jlong)(intptr_t)m;
  Java_com_google_ai_edge_litert_CompiledModel_delete(env, self, (jlong)(intptr_t)m);
  return 0;
}

NATIVE(jint, CompiledModel_find)(JNIEnv *env, jclass self, jlong model, jstring name, jboolean input) {
  const char *text = (*env)->GetStringUTFChars(env, name, NULL), *found = "";
  jint index = 0;
  (void)self;
  while (!(input ? LiteRtGetSignatureInputName : LiteRtGetSignatureOutputName)(MODEL->signature, (size_t)index, &found) &&
         strcmp(found, text))
    index++;
  if (strcmp(found, text)) index = -1;
  (*env)->ReleaseStringUTFChars(env, name, text);
  return index;
}

static int read_type(loaded *m, jint index, jboolean input, LiteRtRankedTensorType *type) {
  LiteRtTensor tensor;
  return (input ? LiteRtGetSignatureInputTensorByIndex : LiteRtGetSignatureOutputTensorByIndex)(
             m->signature, (size_t)index, &tensor) ||
         LiteRtGetRankedTensorType(tensor, type);
}

NATIVE(jintArray, CompiledModel_form)(JNIEnv *env, jclass self, jlong model, jint index, jboolean input) {
  LiteRtRankedTensorType type = {0};
  jint form[9] = {0};
  (void)self;
  if (!read_type(MODEL, index, input, &type)) form[0] = (jint)type.element_type;
  for (unsigned int i = 0; i < type.layout.rank; i++) form[i + 1] = type.layout.dimensions[i];
  jintArray answer = (*env)->NewIntArray(env, (jsize)type.layout.rank + 1);
  (*env)->SetIntArrayRegion(env, answer, 0, (jsize)type.layout.rank + 1, form);
  return answer;
}

NATIVE(jlong, CompiledModel_create)(JNIEnv *env, jclass self, jlong model, jint index, jboolean input, jint bytes) {
  LiteRtRankedTensorType type;
  LiteRtTensorBuffer buffer = NULL;
  (void)env, (void)self;
  if (bytes < 0 || read_type(MODEL, index, input, &type)) return 0; /* negative: a dynamic batch */
  if (LiteRtCreateManagedTensorBuffer(MODEL->environment, kLiteRtTensorBufferTypeHostMemory, &type, (size_t)bytes, &buffer))
    return 0;
  return (jlong)(intptr_t)buffer;
}

NATIVE(jint, CompiledModel_run)(JNIEnv *env, jclass self, jlong model, jlongArray inputs, jlongArray outputs) {
  LiteRtTensorBuffer given[64], taken[64];
  const jsize in = (*env)->GetArrayLength(env, inputs), out = (*env)->GetArrayLength(env, outputs);
  jlong handles[64];
  (void)self;
  if (in > 64 || out > 64) return 1;
  (*env)->GetLongArrayRegion(env, inputs, 0, in, handles);
  for (jsize i = 0; i < in; i++) given[i] = (LiteRtTensorBuffer)(intptr_t)handles[i];
  (*env)->GetLongArrayRegion(env, outputs, 0, out, handles);
  for (jsize i = 0; i < out; i++) taken[i] = (LiteRtTensorBuffer)(intptr_t)handles[i];
  return (jint)LiteRtRunCompiledModel(MODEL->compiled, 0, (size_t)in, given, (size_t)out, taken);
}

NATIVE(jint, TensorBuffer_copy)(JNIEnv *env, jclass self, jlong buffer, jobject memory, jint bytes, jboolean read) {
  void *inside, *outside = (*env)->GetDirectBufferAddress(env, memory);
  (void)self;
  if (LiteRtLockTensorBuffer(BUFFER, &inside, read ? kLiteRtTensorBufferLockModeRead : kLiteRtTensorBufferLockModeWrite))
    return 1;
  memcpy(read ? outside : inside, read ? inside : outside, (size_t)bytes);
  return (jint)LiteRtUnlockTensorBuffer(BUFFER);
}

NATIVE(void, TensorBuffer_delete)(JNIEnv *env, jclass self, jlong buffer) {
  (void)env, (void)self;
  LiteRtDestroyTensorBuffer(BUFFER);
}
