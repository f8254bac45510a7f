// A small pool of threads for the tasks of a model's layers. Only for systems that have <thread>.
//
//   netglot::ThreadPool pool(4);  // as long as the model that uses it
//   pool.parallel();              // what the model is given
#ifndef NETGLOT_THREADS_H  // and no #pragma once: each model's folder has this file
#define NETGLOT_THREADS_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "parallel.h"

namespace netglot {

/// The thread that calls is worker 0; the others are started by the constructor and joined by the destructor. Nothing
/// is allocated in between. One pool runs one layer at a time: models that run side by side need one each.
class ThreadPool {
 public:
  static constexpr std::ptrdiff_t most = 64;

  /// `workers` is limited to 1...most; there are fewer where the system has no more threads to give.
  explicit ThreadPool(std::ptrdiff_t workers) {
    while (workers_ < workers && workers_ < most && start(workers_)) ++workers_;
  }

  ~ThreadPool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
      published_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::ptrdiff_t i = 1; i < workers_; ++i) threads_[i].join();
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  Parallel parallel() { return {&ThreadPool::run, this, workers_}; }

 private:
  // How often to look before sleeping. The next layer follows soon, and to wake a thread takes longer than many layers.
  static constexpr int looks = 256;

  bool start(std::ptrdiff_t worker) {
#if defined(__cpp_exceptions)
    try {
      threads_[worker] = std::thread(&ThreadPool::serve, this, worker);
    } catch (...) {
      return false;
    }
#else
    threads_[worker] = std::thread(&ThreadPool::serve, this, worker);
#endif
    return true;
  }

  static void run(void* pool, std::ptrdiff_t count, Parallel::Task task, void* context) {
    static_cast<ThreadPool*>(pool)->run(count, task, context);
  }

  void run(std::ptrdiff_t count, Parallel::Task task, void* context) {
    publish(count, task, context);
    wake_.notify_all();
    take_tasks(0);
    // Every task is taken. Who has not joined by now finds the work closed; who has is waited for.
    std::unique_lock<std::mutex> lock(mutex_);
    open_ = false;
    for (int i = 0; i < looks && joined_ > 0; ++i) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
    done_.wait(lock, [this] { return joined_ == 0; });
  }

  void publish(std::ptrdiff_t count, Parallel::Task task, void* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    count_ = count;
    task_ = task;
    context_ = context;
    next_.store(0, std::memory_order_relaxed);
    open_ = true;
    published_.fetch_add(1, std::memory_order_release);
  }

  void take_tasks(std::ptrdiff_t worker) {
    for (std::ptrdiff_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i, worker);
  }

  void serve(std::ptrdiff_t worker) {
    for (std::uint32_t seen = 0; wait_for_more_than(seen);) {
      if (!join(seen)) continue;
      take_tasks(worker);
      leave();
    }
  }

  /// Until something new is published; false when that is the end.
  bool wait_for_more_than(std::uint32_t seen) {
    for (int i = 0; i < looks && published_.load(std::memory_order_acquire) == seen; ++i) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [&] { return ended_ || published_.load(std::memory_order_relaxed) != seen; });
    return !ended_;
  }

  bool join(std::uint32_t& seen) {
    const std::lock_guard<std::mutex> lock(mutex_);
    seen = published_.load(std::memory_order_relaxed);
    if (open_) ++joined_;
    return open_;
  }

  void leave() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--joined_ == 0) done_.notify_one();
  }

  std::mutex mutex_;  // of all but the atomic numbers; the work itself does not change while it is open or joined
  std::condition_variable wake_, done_;
  std::atomic<std::uint32_t> published_{0};  // grows with each piece of work
  std::atomic<std::ptrdiff_t> next_{0};      // task
  std::ptrdiff_t count_ = 0, joined_ = 0, workers_ = 1;
  Parallel::Task task_ = nullptr;
  void* context_ = nullptr;
  bool open_ = false, ended_ = false;
  std::thread threads_[most];
};

}  // namespace netglot

#endif  // NETGLOT_THREADS_H
