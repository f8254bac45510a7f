// The digits network on a Cortex-M: no heap, no threads, no operating system.
//
// `image` and `scores` are where the rest of the firmware puts an image and reads the result.
#include "model.h"

namespace {

alignas(64) unsigned char memory[Digits::Model::memory_bytes];

}  // namespace

extern "C" {
float image[64];  // 8x8 pixels, 0 to 16
float scores[10];
}

int main() {
  Digits::Model model(memory);
  if (model.run({image}, {scores}) != netglot::Status::ok) return 1;
  int best = 0;
  for (int i = 1; i < 10; ++i)
    if (scores[i] > scores[best]) best = i;
  return best;
}
