// What docs/models.md says of each family; main/models_document_test.cpp writes it and holds it to the registry.
#include "models/catalogue.h"

namespace pippin::models {
namespace {

constexpr CatalogueEntry entries[] = {
    {"bailing_moe",
     "Ling, Ring: fused projections, a router with groups and correction, shared experts",
     "`norm_head` is refused"},
    {"cohere2",
     "Command R7B, Command A: LayerNorm, attention beside MLP, no rotation in global layers", ""},
    {"deepseek_v2",
     "DeepSeek-V2, V2-Lite, Coder-V2: multi-head latent attention, softmax router with groups",
     "absorbed (mlx-lm keeps keys and values of every head); `norm_topk_prob` is refused; a "
     "missing `rope_scaling` means plain rotation"},
    {"deepseek_v3, kimi_k2, joyai_llm_flash",
     "DeepSeek-V3, R1, Kimi K2: latent attention, sigmoid router with groups and correction, "
     "shared experts",
     "layers that predict ahead are dropped; `rope_interleave` is honoured, as in transformers; "
     "fp8 weights in blocks and compressed-tensors are refused; V3.2's indexer (`deepseek_v32`, "
     "`index_topk`) is not supported"},
    {"ernie4_5", "ERNIE 4.5, dense: interleaved rotation, biases", ""},
    {"exaone4", "EXAONE 4: norms after the branches, no rotation in global layers", ""},
    {"falcon_h1",
     "Falcon-H1: Mamba-2 and attention side by side in each layer, multipliers of weights and "
     "activations",
     "mlx-lm leaves out `key_multiplier`, `attention_in_multiplier` of values, the multipliers of "
     "biases and the groups of the gated norm; Pippin has them as transformers does, and the "
     "golden logits come from a reference that was completed so"},
    {"gemma2", "Gemma 2: soft caps, four norms",
     "windows in every other layer, as transformers has them; mlx-lm has none"},
    {"gemma3_text", "Gemma 3, text", ""},
    {"gemma3n", "Gemma 3n, text: AltUp, Laurel, sparse gates, layer inputs, shared keys and values",
     "images and audio are refused; streams are scaled with transformers' least magnitude"},
    {"gemma4, gemma4_unified, gemma4_text",
     "Gemma 4, text: two sizes of heads, the last layers share keys and values, layer inputs, keys "
     "as values, experts beside the MLP",
     "images and audio are refused; absent fields mean what they mean in transformers; "
     "`layer_types` must be given and end in full attention, since the references disagree "
     "otherwise"},
    {"glm4", "GLM-4 0414: partial interleaved rotation, four norms, a fused MLP", ""},
    {"glm4_moe",
     "GLM-4.5 to 4.7: sigmoid router with groups and correction, shared experts, dense first "
     "layers",
     "layers that predict ahead are dropped"},
    {"glm4_moe_lite",
     "GLM-4.7-Flash: latent attention, sigmoid router with groups and correction, shared experts",
     "layers that predict ahead are dropped"},
    {"gpt_oss", "gpt-oss: sinks, windows, YaRN, mxfp4 experts",
     "`truncate: false` of its YaRN is honoured, as in transformers"},
    {"granite, granitemoe", "Granite 3 and 4 without Mamba: multipliers", ""},
    {"granitemoehybrid",
     "Granite 4 hybrid: Mamba-2 and attention, dense or with experts and a shared one",
     "time steps are not clipped unless `time_step_limit` is given, as in transformers"},
    {"hunyuan_v1_dense", "Hunyuan, dense: heads normed after rotation, a base that alpha enlarges",
     ""},
    {"lfm2", "LFM2: short convolutions and attention", ""},
    {"lfm2_moe", "LFM2 with experts: sigmoid router with correction, dense first layers", ""},
    {"llama, iquestcoder, xverse", "Llama 2 and 3 and what mlx-lm maps to it", ""},
    {"minimax, minimax_m2", "MiniMax-M2: norms of whole rows, a sigmoid router with correction",
     "fp8 weights in blocks are refused"},
    {"ministral3, mistral3", "Ministral 3; Mistral 3's text part", "images are refused"},
    {"mistral, mixtral", "Mistral; Mixtral", "Mistral's window without layer_types"},
    {"mistral4",
     "Mistral Small 4: latent attention, softmax router, queries that grow with their position",
     "images and fp8 weights are refused"},
    {"muse_glimmer",
     "Muse Glimmer, text: gated attention, windows in three layers of four, normed embeddings",
     "images are refused"},
    {"nemotron_h",
     "Nemotron-H, Nemotron Nano 2, Nemotron 3: Mamba-2, attention, MLPs and experts, one a layer; "
     "also experts of a latent width",
     "biases of experts are refused"},
    {"olmo2, olmo3, olmoe", "OLMo: norms of whole rows of queries and keys", ""},
    {"phi3", "Phi-3, Phi-4 mini: fused projections, LongRope",
     "the window, as transformers has it"},
    {"qwen2, qwen2_moe", "Qwen2, Qwen2.5; Qwen1.5 and Qwen2 with experts",
     "norm_topk_prob is honoured"},
    {"qwen3, qwen3_moe", "Qwen3; Qwen3-30B-A3B, Qwen3-Coder", ""},
    {"qwen3_5, qwen3_5_moe, qwen3_5_text, qwen3_5_moe_text",
     "Qwen3.5, dense and with experts: gated delta layers and attention; images and video where "
     "the checkpoint has the tower",
     "layers that predict ahead are dropped"},
    {"qwen3_next",
     "Qwen3-Next: Qwen3.5's layers with projections by key head, experts and a shared one with a "
     "gate",
     "layers that predict ahead are dropped"},
    {"qwen3_vl, qwen3_vl_moe", "Qwen3-VL; images and video",
     "mlx-vlm exchanges the two GELUs of `qwen3_vl_moe`'s tower against its own `qwen3_vl`; Pippin "
     "computes both as `qwen3_vl`, and the golden logits come from a reference that was corrected "
     "so"},
    {"seed_oss", "Seed-OSS", ""},
    {"smollm3", "SmolLM 3: no rotation in every fourth layer", ""}};

}  // namespace

std::span<const CatalogueEntry> catalogue() { return entries; }

}  // namespace pippin::models
