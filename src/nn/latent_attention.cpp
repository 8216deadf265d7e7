#include "nn/latent_attention.h"

#include <utility>

namespace pippin::nn {
namespace {

Linear load_queries(const LatentConfig& c, int hidden_size, int num_heads, Checkpoint& checkpoint,
                    const std::string& name) {
  const int out = num_heads * (c.plain_dim + c.rotary_dim);
  if (c.query_rank > 0) return Linear::load(checkpoint, name + ".q_b_proj", c.query_rank, out);
  return Linear::load(checkpoint, name + ".q_proj", hidden_size, out);
}

// [H, rows, columns] as a bank that multiplies.
kernels::Bank bank_of(const mx::array& matrices, Checkpoint& checkpoint) {
  auto whole = mx::contiguous(matrices);
  whole.eval();
  const kernels::Bank bank(std::move(whole));
  return checkpoint.cpu() ? bank.packed_for(checkpoint.cpu()) : bank;
}

}  // namespace

kernels::AttentionShape latent_shape(const LatentConfig& c, int num_heads) {
  return {num_heads, 1, c.latent_dim + c.rotary_dim, c.latent_dim, true, c.latent_dim};
}

LatentProjections::Up LatentProjections::load_up(const LatentConfig& c, int num_heads,
                                                 Checkpoint& checkpoint, const std::string& name) {
  const auto both = name + ".kv_b_proj";
  if (!checkpoint.has(both + ".weight"))
    return {load_bank(checkpoint, name, "embed_q", num_heads, c.plain_dim, c.latent_dim),
            load_bank(checkpoint, name, "unembed_out", num_heads, c.latent_dim, c.value_dim)};
  const int rows = c.plain_dim + c.value_dim;
  const auto matrices = mx::reshape(load_expanded(checkpoint, both, c.latent_dim, num_heads * rows),
                                    {num_heads, rows, c.latent_dim});
  const auto parts = mx::split(matrices, mx::Shape{c.plain_dim}, 1);
  return {bank_of(mx::swapaxes(parts[0], 1, 2), checkpoint), bank_of(parts[1], checkpoint)};
}

LatentProjections::LatentProjections(const LatentConfig& c, int hidden_size, int num_heads,
                                     Checkpoint& checkpoint, const std::string& name)
    : q_proj_(load_queries(c, hidden_size, num_heads, checkpoint, name)),
      kv_down_(Linear::load(checkpoint, name + ".kv_a_proj_with_mqa", hidden_size,
                            c.latent_dim + c.rotary_dim, c.bias)),
      kv_norm_(RmsNorm::load(checkpoint, name + ".kv_a_layernorm", c.latent_dim, c.norm_eps)),
      up_(load_up(c, num_heads, checkpoint, name)) {
  if (c.query_rank == 0) return;
  query_latent_ =
      QueryLatent{Linear::load(checkpoint, name + ".q_a_proj", hidden_size, c.query_rank, c.bias),
                  RmsNorm::load(checkpoint, name + ".q_a_layernorm", c.query_rank, c.norm_eps)};
}

mx::array LatentProjections::rows(const mx::array& x) const {
  const auto queries = q_proj_(query_latent_ ? query_latent_->norm(query_latent_->down(x)) : x);
  return kernels::latent_rows({queries, kv_down_(x), up_.keys, kv_norm_.weight(), kv_norm_.eps()});
}

}  // namespace pippin::nn
