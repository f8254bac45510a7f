// The digits network where there is no operating system, with the image of image.h; says over semihosting what it found.
#include <cstdio>

#include "image.h"
#include "model.h"

namespace {

alignas(64) unsigned char memory[Digits::Model::memory_bytes];

}  // namespace

int main() {
  float scores[10];
  Digits::Model model(memory);
  if (model.run({image}, {scores}) != netglot::Status::ok) return 1;
  for (float score : scores) std::printf("%.9g\n", static_cast<double>(score));
  return 0;
}
