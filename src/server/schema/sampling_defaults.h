// How answers are sampled where a request says nothing.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "pippin/request.h"

namespace pippin::server {

/// The same for all models, or by the model that the request names.
class SamplingDefaults {
 public:
  SamplingDefaults(SamplingOptions all = {}) : all_(std::move(all)) {}
  /// Throws what `by_model` throws: where there is no such model.
  explicit SamplingDefaults(std::function<SamplingOptions(const std::string&)> by_model)
      : by_model_(std::move(by_model)) {}

  SamplingOptions of(const std::string& model) const { return by_model_ ? by_model_(model) : all_; }

 private:
  SamplingOptions all_;
  std::function<SamplingOptions(const std::string&)> by_model_;
};

}  // namespace pippin::server
