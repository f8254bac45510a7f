// Every task is run once, no worker runs two at a time, and what one layer wrote the next one sees.
#include <cstdio>
#include <cstdlib>

#include "threads.h"

namespace {

constexpr std::ptrdiff_t tasks = 40, layers = 1500;

struct Work {
  std::atomic<int> running[netglot::ThreadPool::most];
  long done[tasks];     // not atomic: a task has it alone, and the end of a layer hands it to the next
  const Work* before;  // whose task 0 wrote what all tasks here read
};

[[noreturn]] void fail(const char* what) {
  std::printf("%s\n", what);
  std::exit(1);
}

void task(void* context, std::ptrdiff_t i, std::ptrdiff_t worker) {
  Work& work = *static_cast<Work*>(context);
  if (work.running[worker].fetch_add(1) != 0) fail("two tasks had one worker");
  if (work.before != nullptr && work.before->done[0] != work.done[i] + 1) fail("the layer before was not done");
  ++work.done[i];
  work.running[worker].fetch_sub(1);
}

/// Two layers in turn on each of two pools that are used by threads of their own.
void use(std::ptrdiff_t workers, std::ptrdiff_t count) {
  netglot::ThreadPool pool(workers);
  const netglot::Parallel parallel = pool.parallel();
  if (parallel.workers != workers) fail("not as many workers as asked for");
  Work first{}, second{};
  second.before = &first;
  for (std::ptrdiff_t i = 0; i < layers; ++i) {
    netglot::for_each(parallel, count, task, &first);
    netglot::for_each(parallel, count, task, &second);
  }
  for (std::ptrdiff_t i = 0; i < tasks; ++i)
    if (second.done[i] != (i < count ? layers : 0)) fail("a task was not run as often as asked for");
}

}  // namespace

int main() {
  for (std::ptrdiff_t workers : {1, 2, 4}) {
    for (std::ptrdiff_t count : {std::ptrdiff_t{1}, std::ptrdiff_t{3}, tasks}) {
      std::thread beside(use, workers, count);
      use(workers, count);
      beside.join();
    }
  }
  netglot::ThreadPool unused(3);  // is joined without ever having had work
  netglot::for_each(unused.parallel(), 0, task, nullptr);
  if (netglot::ThreadPool(1000).parallel().workers > netglot::ThreadPool::most) fail("too many workers");
}
