// What a folder holds.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace pippin {

/// Calls `visit` with the name of everything in a folder, in no order; ends early where the folder can't be read on. Throws what `visit`
/// throws, and std::bad_alloc, where the standard library's own iterator would end the process (libstdc++ 12).
void for_each_name(const std::filesystem::path& folder,
                   const std::function<void(const std::string& name)>& visit);

}  // namespace pippin
