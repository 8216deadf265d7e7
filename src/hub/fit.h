// Whether a model fits a machine, by its config and its files' sizes alone: it can be said before anything large is fetched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pippin::hub {

/// What a model's config.json says of the memory that its attention cache takes. Fields are 0 where it doesn't say. Recurrent layers count as
/// nothing: their states do not grow.
struct Needs {
  std::string model_type;
  std::int64_t context = 0;  ///< longest, in tokens
  std::int64_t per_token =
      0;  ///< numbers that layers with all of the context keep of a token: keys and values
  std::int64_t window = 0;  ///< tokens that the other layers look back
  std::int64_t per_window_token =
      0;  ///< numbers that those keep of a token, while it is in their window

  /// Numbers for a context of so many tokens.
  std::int64_t numbers(std::int64_t tokens) const;
};

/// `config`: the text of config.json. Throws Error(invalid_argument) where it is no JSON object.
Needs read_needs(const std::string& config);

/// What a machine grants a model.
struct Machine {
  std::int64_t memory = 0;   ///< bytes for everything
  std::int64_t context = 0;  ///< asked for, in tokens; 0: the model's
  int bits = 16;             ///< of a number in the attention cache
};

enum class Verdict {
  fits,           ///< with a whole context
  short_context,  ///< the weights do; the context must be shorter
  too_large,      ///< the weights alone take more
};

struct Fit {
  Verdict verdict = Verdict::fits;
  std::int64_t cache_bytes = 0;  ///< of a whole context; 0 where not known
  std::int64_t max_tokens = 0;   ///< that fit beside the weights; 0 where not known
  std::string text;              ///< the numbers and the verdict, a sentence or two
};

Fit judge_fit(const Needs& needs, std::int64_t weight_bytes, const Machine& machine);

}  // namespace pippin::hub
