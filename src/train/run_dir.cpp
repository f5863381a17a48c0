#include "train/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace echodiff {
namespace {

std::string value_text(const toml::node& node) {
  std::ostringstream text;
  text.precision(17);
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) text << (&element == &*array->begin() ? "" : ",") << value_text(element);
  } else if (const toml::value<std::string>* string = node.as_string()) {
    text << string->get();
  } else if (const toml::value<int64_t>* integer = node.as_integer()) {
    text << integer->get();
  } else if (const toml::value<double>* real = node.as_floating_point()) {
    text << real->get();
  } else if (const toml::value<bool>* boolean = node.as_boolean()) {
    text << (boolean->get() ? "true" : "false");
  } else {
    text << toml::node_view<const toml::node>(node);  // dates, tables inside arrays: as TOML writes them
  }
  return text.str();
}

void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, std::string>& flat) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, key + ".", flat);
    } else {
      flat[key] = value_text(node);
    }
  }
}

}  // namespace

RunDirectory::RunDirectory(const std::string& path) : path_(path) {
  make_directories(path);
  const std::string lock = file(".lock");
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  check_input(lock_ >= 0, Fault::kCannotCreate, lock, ": can't create: ", std::strerror(errno));
  // The kernel drops the lock when the process ends, however it ends.
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(lock_);
    check_input(reason != EWOULDBLOCK, Fault::kLocked, path,
                ": another process works in this run directory; wait for it or choose another");
    throw Error(Fault::kIo, concat_message(lock, ": can't lock: ", std::strerror(reason)));
  }
  try {
    make_directories(file("checkpoints"));
    make_directories(file("samples"));
  } catch (...) {
    close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() { close(lock_); }

void RunDirectory::write_config(const std::string& toml) const { write_file_atomic(file("config.toml"), toml); }

std::map<std::string, std::string> read_flat_toml(const std::string& path) {
  const std::string text = read_file(path);
  std::map<std::string, std::string> flat;
  try {
    flatten(toml::parse(text, path), "", flat);
  } catch (const toml::parse_error& error) {
    throw Error(Fault::kBadInput, concat_message(path, ":", error.source().begin.line, ":", error.source().begin.column,
                                                 ": ", error.description()));
  }
  return flat;
}

}  // namespace echodiff
