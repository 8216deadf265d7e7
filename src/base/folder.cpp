#include "base/folder.h"

#include <dirent.h>

#include <memory>

namespace pippin {

void for_each_name(const std::filesystem::path& folder,
                   const std::function<void(const std::string& name)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (!open) return;
  std::string name;
  while (const dirent* entry = ::readdir(open.get())) {
    name = entry->d_name;
    if (name != "." && name != "..") visit(name);
  }
}

}  // namespace pippin
