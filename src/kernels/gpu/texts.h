// The kernels' files as text, for the compilers of GPUs; made by CMake.
#pragma once

namespace pippin::kernels::gpu::text {

extern const char* const digest;  ///< of all texts
extern const char* const prelude_cuda;
extern const char* const prelude_metal;
extern const char* const prelude;
extern const char* const paged_decode;
extern const char* const paged_decode_parts_call;
extern const char* const merge_parts_call;
extern const char* const qk_norm_rope_write;
extern const char* const qk_norm_rope_write_call;
extern const char* const qk_norm_rope_rows_call;
extern const char* const gated;
extern const char* const gated_call;
extern const char* const product;
extern const char* const product_call;
extern const char* const rms_norm;
extern const char* const rms_norm_call;
extern const char* const embed;
extern const char* const embed_call;
extern const char* const rope_angles;
extern const char* const rope_angles_call;
extern const char* const argmax;
extern const char* const argmax_parts_call;
extern const char* const argmax_merge_call;
extern const char* const pick_tokens;
extern const char* const pick_tokens_call;
extern const char* const sample;
extern const char* const sample_bins_call;
extern const char* const sample_sums_call;
extern const char* const sample_draw_call;
extern const char* const edit_logits;
extern const char* const edit_logits_call;

}  // namespace pippin::kernels::gpu::text
