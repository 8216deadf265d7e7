// The formats of calls. format_table.h lists them by name.
#pragma once

#include <memory>
#include <string_view>

#include "text/parsers/parser.h"
#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

using ToolsPtr = std::shared_ptr<const Tools>;

std::unique_ptr<CallReader> apertus_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> command_r7b_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> command_r_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> deepseek_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> deepseek_v32_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> deepseek_v4_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> firefunction_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> functionary_v31_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> functionary_v32_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> functiongemma_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> gemma3_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> gemma4_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> gigachat3_1_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> gigachat3_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> glm_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> granite_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> hermes_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> hunyuan3_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> kimi_k2_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> kimi_k3_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> lfm2_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> listed_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> llama3_json_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> minicpm5_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> minimax_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> minimax_m3_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> mistral_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> muse_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> nemotron_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> phi_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> pythonic_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> qwen3_coder_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> seed_oss_calls(const ToolsPtr& tools);
std::unique_ptr<CallReader> solar_open_calls(const ToolsPtr& tools);

/// gpt-oss, whose messages have channels: one parser for all. `with_calls`: tools are offered; `with_reasoning`: the analysis
/// channel is told from text. `prompt` ends where the answer begins.
std::unique_ptr<OutputParser> harmony_parser(std::string_view prompt, bool with_calls,
                                             bool with_reasoning);

}  // namespace pippin::text
