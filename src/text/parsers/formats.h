// The formats of calls, one file each. registry.h lists them by name.
#pragma once

#include <memory>

#include "text/parsers/parser.h"
#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

using ToolsPtr = std::shared_ptr<const Tools>;

std::unique_ptr<CallReader> hermes_calls(ToolsPtr tools);

}  // namespace pippin::text
