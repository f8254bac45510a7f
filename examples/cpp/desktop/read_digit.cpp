// Says which digit is on an image: read_digit IMAGE.pgm (8x8, as ASCII: P2, with 16 for white).
#include <cstdio>

#include "model.h"
#include "threads.h"

namespace {

/// The pixels of an 8x8 image of the kind P2.
bool read_image(const char* path, float (&pixels)[64]) {
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return false;
  int width = 0, height = 0, white = 0;
  bool good = std::fscanf(file, "P2 %d %d %d", &width, &height, &white) == 3 && width == 8 && height == 8 && white > 0;
  for (float& pixel : pixels) good = good && std::fscanf(file, "%f", &pixel) == 1;
  for (float& pixel : pixels) pixel *= 16.0f / static_cast<float>(white);
  std::fclose(file);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  float pixels[64], scores[10];
  if (argc != 2 || !read_image(argv[1], pixels)) {
    std::fprintf(stderr, "usage: read_digit IMAGE.pgm (P2, 8x8)\n");
    return 2;
  }
  // As many threads as the model was written for (netglot convert --threads N); one needs none of this.
  netglot::ThreadPool pool(Digits::Model::threads);
  netglot::Options options;
  options.parallel = pool.parallel();
  Digits::Model model(options);
  if (model.run({pixels}, {scores}) != netglot::Status::ok) {
    std::fprintf(stderr, "the model can't run: status %d\n", static_cast<int>(model.status()));
    return 1;
  }
  int best = 0;
  for (int i = 1; i < 10; ++i)
    if (scores[i] > scores[best]) best = i;
  std::printf("%d (%.1f %%)\n", best, 100.0 * scores[best]);
}
