// What families with experts have in common: their configs' fields and their tensors' names.
#include <cstdlib>

#include "models/config.h"
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

nn::MoeConfig read_moe(ConfigFields& fields, const char* key, int width) {
  nn::MoeConfig moe;
  moe.router.num_experts = fields.size(key);
  moe.router.top_k = fields.size("num_experts_per_tok");
  moe.width = width;
  if (moe.router.top_k > moe.router.num_experts)
    fields.refuse("num_experts_per_tok", "must be at most " + std::string(key));
  return moe;
}

void check_router_groups(const ConfigFields& fields, const nn::MoeConfig& moe,
                         const char* experts) {
  const auto& o = moe.router;
  if (o.num_experts % o.groups != 0 || o.kept_groups > o.groups)
    fields.refuse("n_group", "must divide " + std::string(experts) + " and be at least topk_group");
  if (o.num_experts / o.groups * o.kept_groups < o.top_k)
    fields.refuse("topk_group", "leaves fewer experts than num_experts_per_tok");
}

nn::MoeConfig read_grouped_moe(ConfigFields& fields) {
  auto moe = read_moe(fields, "n_routed_experts", fields.size("moe_intermediate_size"));
  fields.expect("scoring_func", "sigmoid");
  fields.expect("topk_method", "noaux_tc");
  moe.correction = true;
  moe.router.scores = kernels::RouterScores::sigmoid;
  moe.router.normalize = moe.router.top_k > 1 && fields.flag_or("norm_topk_prob", true);
  read_router_groups(fields, moe);
  return moe;
}

void read_router_groups(ConfigFields& fields, nn::MoeConfig& moe) {
  moe.router.scale = fields.number_or("routed_scaling_factor", 1);
  moe.router.groups = fields.size_or("n_group", 1);
  moe.router.kept_groups = fields.size_or("topk_group", 1);
  check_router_groups(fields, moe, "n_routed_experts");
  if (fields.members().find("n_shared_experts"))
    moe.shared_width = moe.width * fields.size("n_shared_experts");
}

std::vector<bool> routed_layers(ConfigFields& fields, std::size_t num_layers) {
  const auto step = static_cast<std::size_t>(fields.size_or("decoder_sparse_step", 1));
  std::vector<bool> routed;
  for (std::size_t i = 0; i < num_layers; ++i) routed.push_back((i + 1) % step == 0);
  for (const auto layer : fields.integers("mlp_only_layers"))
    if (layer >= 0 && static_cast<std::size_t>(layer) < num_layers)
      routed[static_cast<std::size_t>(layer)] = false;
  return routed;
}

std::string without_layers_beyond(const std::string& name, std::size_t num_layers) {
  const std::string prefix = "model.layers.";
  if (!name.starts_with(prefix)) return name;
  return std::strtoull(name.c_str() + prefix.size(), nullptr, 10) < num_layers ? name : "";
}

std::string grouped_moe_tensor(const std::string& name, std::size_t num_layers) {
  return replaced(without_layers_beyond(name, num_layers),
                  {{".mlp.gate.e_score_correction_bias", ".mlp.router.correction"},
                   {".mlp.gate.", ".mlp.router."},
                   {".mlp.switch_mlp.", ".mlp.experts."},
                   {".mlp.shared_experts.", ".mlp.shared_expert."}});
}

}  // namespace pippin::models
