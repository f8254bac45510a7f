// Changes one random bit after another of the weights or the plan, in the read-only memory of the program itself, and
// makes a model each time. Linked with the model of tests/test_cpp_integrity.py.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "model.h"
#include "run.h"

namespace model = Small_net;

namespace {

/// Makes the pages that hold `size` bytes at `start` writable.
unsigned char* writable(const void* start, std::size_t size) {
  const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t first = at / page * page, end = (at + size + page - 1) / page * page;
  if (mprotect(reinterpret_cast<void*>(first), end - first, PROT_READ | PROT_WRITE) != 0) std::perror("mprotect"), std::exit(1);
  return reinterpret_cast<unsigned char*>(at);
}

/// The status of a model made now, and whether running it wrote anything.
netglot::Status tried(bool& wrote) {
  std::vector<float> image(1 * 3 * 12 * 10, 1.0f), result(5, -7.0f);
  const void* const inputs[] = {image.data()};
  void* const outputs[] = {result.data()};
  model::Model made;
  const netglot::Status status = made.run(inputs, outputs);
  wrote = result[0] != -7.0f;
  return made.status() == status ? status : netglot::Status::no_memory;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const bool weights = std::strcmp(argv[1], "weights") == 0;
  const std::size_t size = weights ? model::Model::weight_bytes : sizeof model::plan;
  unsigned char* const bytes = writable(weights ? static_cast<const void*>(small_net_weights) : model::plan, size);
  const int count = std::atoi(argv[2]);
  std::mt19937_64 random(1);
  int refused = 0;
  bool wrote = false, any = false;
  for (int i = 0; i < count; ++i) {
    const std::size_t bit = random() % (8 * size);
    bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    refused += tried(wrote) == netglot::Status::corrupted;
    any |= wrote;
    bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
  const bool ok = tried(wrote) == netglot::Status::ok && wrote;
  std::printf("%d of %d refused, %s; then %s\n", refused, count, any ? "but something was computed" : "nothing was computed",
              ok ? "ok" : "not ok");
  return 0;
}
