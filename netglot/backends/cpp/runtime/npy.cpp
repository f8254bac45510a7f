// The example program: runs a model on NumPy's .npy files (format 1.0 to 3.0, little-endian, C order), or times it.
#include "npy.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cpu.h"
#include "threads.h"

namespace netglot {
namespace {

/// Prints what is wrong and gives up.
[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(2);
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string text = "(";
  for (std::size_t size : shape) text += std::to_string(size) + (shape.size() == 1 ? ",)" : ", ");
  if (shape.size() > 1) text.resize(text.size() - 2);
  return shape.size() == 1 ? text : text + ")";
}

std::vector<std::size_t> shape_of(const Tensor& tensor) {
  return {tensor.shape, tensor.shape + tensor.rank};
}

std::vector<char> read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail("can't open " + path);
  std::vector<char> data;
  char block[1 << 16];
  for (std::size_t got; (got = std::fread(block, 1, sizeof block, file)) > 0;) data.insert(data.end(), block, block + got);
  std::fclose(file);
  return data;
}

/// The text of `key`'s value in the header of a .npy file, up to its end.
std::string header_value(const std::string& header, const std::string& key, const std::string& path) {
  const std::size_t at = header.find("'" + key + "':");
  if (at == std::string::npos) fail(path + ": its header has no " + key);
  const std::size_t start = header.find_first_not_of(' ', at + key.size() + 3);
  return start == std::string::npos ? "" : header.substr(start);
}

std::vector<std::size_t> parse_shape(const std::string& text, const std::string& path) {
  const std::size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == std::string::npos) fail(path + ": its header has no shape");
  std::vector<std::size_t> shape;
  for (const char* at = text.c_str() + 1; at < text.c_str() + end;) {
    if (*at >= '0' && *at <= '9') {
      char* next = nullptr;
      shape.push_back(std::strtoull(at, &next, 10));
      at = next;
    } else {
      ++at;
    }
  }
  return shape;
}

/// The elements of a .npy file, which must hold what `tensor` is declared to be.
std::vector<char> read_npy(const std::string& path, const Tensor& tensor) {
  std::vector<char> data = read_file(path);
  if (data.size() < 12 || std::memcmp(data.data(), "\x93NUMPY", 6) != 0) fail(path + " is not a .npy file");
  const bool old = data[6] == 1;
  std::size_t length = 0, start = old ? 10 : 12;
  for (std::size_t i = start; i-- > 8;) length = length << 8 | static_cast<unsigned char>(data[i]);
  if (length > data.size() - start) fail(path + " is cut off");
  const std::string header(data.data() + start, length);
  const std::string dtype = header_value(header, "descr", path).substr(0, std::strlen(tensor.dtype) + 2);
  const std::vector<std::size_t> shape = parse_shape(header_value(header, "shape", path), path);
  const std::string name = std::string("input '") + tensor.name + "'";
  if (dtype != std::string("'") + tensor.dtype + "'")
    fail(name + " has elements of type '" + tensor.dtype + "', " + path + " holds " + dtype);
  if (shape != shape_of(tensor))
    fail(name + " has the shape " + shape_text(shape_of(tensor)) + ", " + path + " holds " + shape_text(shape));
  if (header_value(header, "fortran_order", path).rfind("False", 0) != 0)
    fail(path + " is in Fortran order; save it with numpy.ascontiguousarray");
  data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(start + length));
  if (data.size() != tensor.bytes)
    fail(path + " holds " + std::to_string(data.size()) + " bytes, expected " + std::to_string(tensor.bytes));
  return data;
}

void write_npy(const std::string& path, const Tensor& tensor, const std::vector<char>& data) {
  std::string header = std::string("{'descr': '") + tensor.dtype + "', 'fortran_order': False, 'shape': ";
  header += shape_text(shape_of(tensor)) + ", }";
  header.append(63 - (10 + header.size()) % 64, ' ') += '\n';
  const char head[] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(header.size() & 255),
                       static_cast<char>(header.size() >> 8)};
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) fail("can't write " + path);
  bool done = std::fwrite(head, 1, sizeof head, file) == sizeof head;
  done = std::fwrite(header.data(), 1, header.size(), file) == header.size() && done;
  done = std::fwrite(data.data(), 1, tensor.bytes, file) == tensor.bytes && done;
  if (std::fclose(file) != 0 || !done) fail("can't write " + path);
}

const char* reason(Status status) {
  switch (status) {
    case Status::no_memory: return "there is not enough memory";
    case Status::corrupted: return "its weights are not those that were written";
    case Status::wrong_key: return "its weights are encrypted, and not with this key";
    default: return "nothing is wrong";
  }
}

std::string list(const Tensor* tensors, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text += std::string("\n  ") + tensors[i].name + "  " + tensors[i].dtype + " " + shape_text(shape_of(tensors[i]));
  return text;
}

[[noreturn]] void usage(const Program& model) {
  std::printf(
      "usage: run --input NAME=FILE.npy ... --output-dir DIR\n"
      "  --repeat N      time N runs after one that does not count; inputs that are not given are made up\n"
      "  --threads N     of at most %td that the model was written for\n"
      "  --level LEVEL   of the processor's instructions: baseline, avx2 or avx512\n"
      "  --key FILE      of an encrypted model: 32 bytes, or 64 hexadecimal digits\n"
      "inputs:%s\noutputs:%s\n",
      model.threads, list(model.inputs, model.input_count).c_str(), list(model.outputs, model.output_count).c_str());
  std::exit(0);
}

/// What the program was told.
struct Arguments {
  std::vector<std::vector<char>> inputs;
  std::vector<bool> given;  // which of them
  std::string folder;       // for the outputs, if any
  std::ptrdiff_t repeat = 0, threads = 0;
  Level level = Level::best;
  std::vector<char> key;
};

/// The input that `argument` (NAME=FILE) is for, by its name in the model or by its safe name.
std::size_t find_input(const Program& model, const std::string& argument, std::string& path) {
  for (std::size_t i = 0; i < model.input_count; ++i)
    for (const std::string name : {model.inputs[i].name, model.inputs[i].file})
      if (argument.compare(0, name.size() + 1, name + "=") == 0) {
        path = argument.substr(name.size() + 1);
        return i;
      }
  fail("there is no input for '" + argument + "'; expected NAME=FILE.npy with one of:" +
       list(model.inputs, model.input_count));
}

std::ptrdiff_t parse_count(const std::string& flag, const char* text) {
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || count < 1) fail(flag + " takes a number above 0, not '" + text + "'");
  return count;
}

Level parse_level(const std::string& name) {
  const char* const names[] = {"baseline", "avx2", "avx512"};
  for (int i = 0; i < 3; ++i) {
    if (name != names[i]) continue;
    if (supported(Level(i)) != Level(i)) fail("this processor has not the instructions of " + name);
    return Level(i);
  }
  fail("--level takes baseline, avx2 or avx512, not '" + name + "'");
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// A key is 32 bytes, or 64 hexadecimal digits that may end with a line break.
std::vector<char> read_key(const std::string& path) {
  std::vector<char> data = read_file(path);
  if (data.size() == 32) return data;
  while (data.size() > 64 && (data.back() == '\n' || data.back() == '\r')) data.pop_back();
  const bool is_text = std::all_of(data.begin(), data.end(), [](char c) { return digit(c) >= 0; });
  if (data.size() != 64 || !is_text) fail(path + " is no key: that is 32 bytes, or 64 hexadecimal digits");
  for (std::size_t i = 0; i < 32; ++i) data[i] = static_cast<char>(digit(data[2 * i]) << 4 | digit(data[2 * i + 1]));
  data.resize(32);
  return data;
}

/// Numbers for an input that is not given: the same ones every time, and none that could be out of some range.
std::vector<char> made_up(const Tensor& tensor) {
  std::vector<char> data(tensor.bytes);
  const std::string dtype = tensor.dtype;
  std::uint32_t state = 1;
  if (dtype == "<f4") {
    for (std::size_t i = 0; i + 4 <= data.size(); i += 4) {
      state = state * 1664525 + 1013904223;
      const float x = static_cast<float>(state >> 8) / (1 << 23) - 1;
      std::memcpy(&data[i], &x, sizeof x);
    }
  } else if (dtype == "|i1" || dtype == "|u1") {
    for (char& byte : data) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  }
  return data;  // zeros: an index that every table has, a truth value, a number
}

void parse_argument(const Program& model, const std::string& flag, const char* value, Arguments& arguments) {
  if (flag == "--output-dir") {
    arguments.folder = value;
  } else if (flag == "--repeat") {
    arguments.repeat = parse_count(flag, value);
  } else if (flag == "--threads") {
    arguments.threads = parse_count(flag, value);
    if (arguments.threads > model.threads)
      fail("the model was written for at most " + std::to_string(model.threads) + " threads, not " + value);
  } else if (flag == "--level") {
    arguments.level = parse_level(value);
  } else if (flag == "--key") {
    arguments.key = read_key(value);
  } else {
    std::string path;
    const std::size_t input = find_input(model, value, path);
    arguments.inputs[input] = read_npy(path, model.inputs[input]);
    arguments.given[input] = true;
  }
}

Arguments parse_arguments(const Program& model, int argc, char** argv) {
  Arguments arguments;
  arguments.inputs.resize(model.input_count);
  arguments.given.resize(model.input_count);
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") usage(model);
    const char* const known[] = {"--input", "--output-dir", "--repeat", "--threads", "--level", "--key"};
    if (std::find(std::begin(known), std::end(known), flag) == std::end(known))
      fail("unknown argument '" + flag + "'; see --help");
    if (i + 1 == argc) fail(flag + " needs a value");
    parse_argument(model, flag, argv[i + 1], arguments);
  }
  for (std::size_t i = 0; i < model.input_count; ++i) {
    if (arguments.given[i]) continue;
    if (arguments.repeat == 0) fail(std::string("the input '") + model.inputs[i].name + "' is missing; see --help");
    arguments.inputs[i] = made_up(model.inputs[i]);
  }
  if (arguments.repeat == 0 && arguments.folder.empty()) arguments.folder = ".";
  return arguments;
}

/// What `made` computes of the inputs; with --repeat, again and again, with the time that it takes.
Status run(const Program& model, void* made, const Arguments& arguments, std::vector<std::vector<char>>& outputs) {
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const std::vector<char>& input : arguments.inputs) from.push_back(input.data());
  for (std::size_t i = 0; i < model.output_count; ++i) {
    outputs[i].resize(model.outputs[i].bytes + 1);
    to.push_back(outputs[i].data());
  }
  const Status status = model.run(made, from.data(), to.data());
  if (status != Status::ok || arguments.repeat == 0) return status;
  std::vector<double> times;
  for (std::ptrdiff_t i = 0; i < arguments.repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    model.run(made, from.data(), to.data());
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  const double median = (times[times.size() / 2] + times[(times.size() - 1) / 2]) / 2;
  std::printf("min %.3f ms, median %.3f ms of %td runs\n", times[0], median, arguments.repeat);
  return status;
}

}  // namespace

int run_on_files(int argc, char** argv, const Program& model) {
  Arguments arguments = parse_arguments(model, argc, argv);
  ThreadPool pool(arguments.threads);
  Options options;
  options.level = arguments.level;
  if (arguments.threads > 0) options.parallel = pool.parallel();
  if (!arguments.key.empty()) options.key = reinterpret_cast<unsigned char*>(arguments.key.data());
  std::vector<std::vector<char>> outputs(model.output_count);
  void* const made = model.create(options);
  const Status status = run(model, made, arguments, outputs);
  model.destroy(made);
  if (status != Status::ok) fail(std::string("the model can't run: ") + reason(status));
  for (std::size_t i = 0; i < model.output_count && !arguments.folder.empty(); ++i)
    write_npy(arguments.folder + "/" + model.outputs[i].file + ".npy", model.outputs[i], outputs[i]);
  return 0;
}

}  // namespace netglot
