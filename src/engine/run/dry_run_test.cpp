#include "engine/run/dry_run.h"

#include <gtest/gtest.h>

#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

std::int64_t measure(int rows, int measured_rows, int picture_rows) {
  const auto cpu = backend_of(How::cpu_float32);
  const auto model = models::load_model(model_dir, {.cpu = cpu});
  const auto pictures = media::ImageProcessorConfig::load(model_dir);
  DryRun run;
  run.rows = rows;
  run.logit_rows = 1;
  run.picture_rows = picture_rows;
  run.measured_rows = measured_rows;
  run.kv = {mx::float32};
  run.cpu = cpu;
  if (picture_rows > 0) run.pictures = &pictures;
  return measure_activations(*model, run);
}

TEST(DryRun, AFewRowsTellWhatManyTake) {
  const auto whole = static_cast<double>(measure(512, 0, 0)),
             scaled = static_cast<double>(measure(512, 16, 0));
  EXPECT_GT(whole, 512 * 4 * 32);  // more than a hidden state of the tiny model
  EXPECT_GT(scaled, 0.8 * whole);
  EXPECT_LT(scaled, 3 * whole);
}

TEST(DryRun, GrowsWithRowsAndPictures) {
  EXPECT_GT(measure(512, 16, 0), 3 * measure(128, 16, 0));
  EXPECT_GT(measure(128, 16, 4096), measure(128, 16, 64));
  EXPECT_GT(measure(128, 16, 64), measure(128, 16, 0));
}

}  // namespace
}  // namespace pippin::engine
