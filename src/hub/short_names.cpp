#include "hub/name.h"

namespace pippin::hub {
namespace {

// Of families that Pippin runs, in 4 bits: what one asks a small machine for.
constexpr ShortName names[] = {
    {"gemma3-1b", "mlx-community/gemma-3-1b-it-4bit"},
    {"llama3.1-8b", "mlx-community/Meta-Llama-3.1-8B-Instruct-4bit"},
    {"llama3.2-1b", "mlx-community/Llama-3.2-1B-Instruct-4bit"},
    {"llama3.2-3b", "mlx-community/Llama-3.2-3B-Instruct-4bit"},
    {"llama3.3-70b", "mlx-community/Llama-3.3-70B-Instruct-4bit"},
    {"ministral3-14b", "mlx-community/Ministral-3-14B-Instruct-2512-4bit"},
    {"ministral3-3b", "mlx-community/Ministral-3-3B-Instruct-2512-4bit"},
    {"mistral-7b", "mlx-community/Mistral-7B-Instruct-v0.3-4bit"},
    {"qwen2.5-0.5b", "mlx-community/Qwen2.5-0.5B-Instruct-4bit"},
    {"qwen2.5-1.5b", "mlx-community/Qwen2.5-1.5B-Instruct-4bit"},
    {"qwen2.5-3b", "mlx-community/Qwen2.5-3B-Instruct-4bit"},
    {"qwen2.5-7b", "mlx-community/Qwen2.5-7B-Instruct-4bit"},
    {"qwen2.5-coder-7b", "mlx-community/Qwen2.5-Coder-7B-Instruct-4bit"},
    {"qwen3-0.6b", "mlx-community/Qwen3-0.6B-4bit"},
    {"qwen3-1.7b", "mlx-community/Qwen3-1.7B-4bit"},
    {"qwen3-14b", "mlx-community/Qwen3-14B-4bit"},
    {"qwen3-4b", "mlx-community/Qwen3-4B-4bit"},
    {"qwen3-4b-instruct", "mlx-community/Qwen3-4B-Instruct-2507-4bit"},
    {"qwen3-8b", "mlx-community/Qwen3-8B-4bit"},
    {"qwen3-vl-2b", "mlx-community/Qwen3-VL-2B-Instruct-4bit"},
    {"qwen3-vl-4b", "mlx-community/Qwen3-VL-4B-Instruct-4bit"},
    {"qwen3-vl-8b", "mlx-community/Qwen3-VL-8B-Instruct-4bit"},
};

}  // namespace

std::span<const ShortName> short_names() { return names; }

}  // namespace pippin::hub
