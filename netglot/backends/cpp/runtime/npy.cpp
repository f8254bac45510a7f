// The example program: runs a model on NumPy's .npy files (format 1.0 to 3.0, little-endian, C order).
#include "npy.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

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

std::string list(const Tensor* tensors, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text += std::string("\n  ") + tensors[i].name + "  " + tensors[i].dtype + " " + shape_text(shape_of(tensors[i]));
  return text;
}

[[noreturn]] void usage(const Program& model) {
  std::printf("usage: run --input NAME=FILE.npy ... --output-dir DIR\ninputs:%s\noutputs:%s\n",
              list(model.inputs, model.input_count).c_str(), list(model.outputs, model.output_count).c_str());
  std::exit(0);
}

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

std::string parse_arguments(const Program& model, int argc, char** argv, std::vector<std::vector<char>>& inputs) {
  std::string folder = ".", path;
  std::vector<bool> given(model.input_count);
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") usage(model);
    if (flag != "--input" && flag != "--output-dir") fail("unknown argument '" + flag + "'; see --help");
    if (i + 1 == argc) fail(flag + " needs a value");
    if (flag == "--output-dir") {
      folder = argv[i + 1];
    } else {
      const std::size_t input = find_input(model, argv[i + 1], path);
      inputs[input] = read_npy(path, model.inputs[input]);
      given[input] = true;
    }
  }
  for (std::size_t i = 0; i < model.input_count; ++i)
    if (!given[i]) fail(std::string("the input '") + model.inputs[i].name + "' is missing; see --help");
  return folder;
}

}  // namespace

int run_on_files(int argc, char** argv, const Program& model) {
  std::vector<std::vector<char>> inputs(model.input_count), outputs(model.output_count);
  const std::string folder = parse_arguments(model, argc, argv, inputs);
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const std::vector<char>& input : inputs) from.push_back(input.data());
  for (std::size_t i = 0; i < model.output_count; ++i) {
    outputs[i].resize(model.outputs[i].bytes + 1);
    to.push_back(outputs[i].data());
  }
  model.run(from.data(), to.data());
  for (std::size_t i = 0; i < model.output_count; ++i)
    write_npy(folder + "/" + model.outputs[i].file + ".npy", model.outputs[i], outputs[i]);
  return 0;
}

}  // namespace netglot
