// Decodes what tests/test_cpp_compress.py sends. Question: bytes of the stream, bytes of the constants, the stream.
// Answer: 1 or 0, the constants. Both have memory of exactly their size, so that a sanitizer sees the byte beyond it.
#include "entropy.h"

#include <cstdio>
#include <memory>
#include <vector>

bool number(std::size_t& x) {
  unsigned char bytes[8];
  if (std::fread(bytes, 1, 8, stdin) != 8) return false;
  x = 0;
  for (int i = 7; i >= 0; --i) x = x << 8 | bytes[i];
  return true;
}

int main() {
  const auto unpacker = std::make_unique<netglot::Unpacker>();
  for (std::size_t size, room; number(size) && number(room);) {
    std::vector<unsigned char> stream(size), out(room);
    if (size > 0 && std::fread(stream.data(), 1, size, stdin) != size) return 1;
    std::putchar(unpacker->unpack(stream.data(), size, out.data(), room));
    if (room > 0) std::fwrite(out.data(), 1, room, stdout);
    std::fflush(stdout);
  }
}
