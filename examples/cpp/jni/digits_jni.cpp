// What org.example.Digits calls, on top of the model's C interface. Nothing is copied: the buffers are direct ones.
#include <jni.h>

#include <cstdint>

#include "model_c.h"

namespace {

digits_model* of(jlong model) { return reinterpret_cast<digits_model*>(static_cast<std::intptr_t>(model)); }

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_org_example_Digits_create(JNIEnv*, jclass) {
  return reinterpret_cast<jlong>(digits_create(nullptr));
}

JNIEXPORT jint JNICALL Java_org_example_Digits_run(JNIEnv* env, jclass, jlong model, jobject image, jobject scores) {
  const void* const inputs[DIGITS_INPUTS] = {env->GetDirectBufferAddress(image)};
  void* const outputs[DIGITS_OUTPUTS] = {env->GetDirectBufferAddress(scores)};
  return digits_run(of(model), inputs, outputs);
}

JNIEXPORT void JNICALL Java_org_example_Digits_destroy(JNIEnv*, jclass, jlong model) {
  digits_destroy(of(model));
}

}  // extern "C"
