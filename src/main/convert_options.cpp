#include "main/convert_options.h"

#include <string>

namespace pippin {

CLI::App* add_convert(CLI::App& app, ConvertCommand& convert) {
  CLI::App* converting =
      app.add_subcommand("convert", "Write a model as mlx-lm does, quantized or not");
  auto& options = convert.options;
  const auto asks = [&options](const std::string&) { options.quantize = true; };
  converting
      ->add_option("SRC", convert.source,
                   "Directory of a Hugging Face model, or a GGUF file of plain tensors")
      ->type_name("")
      ->required();
  converting->add_option("DST", convert.destination, "Directory to make; it must not exist")
      ->type_name("")
      ->required();
  converting->add_option("--bits", options.bits, "Bits a weight: 2, 3, 4, 5, 6 or 8 [4]; quantizes")
      ->type_name("N")
      ->each(asks);
  converting
      ->add_option("--group-size", options.group_size,
                   "Weights that share a scale: 32, 64 or 128 [64]; quantizes")
      ->type_name("N")
      ->each(asks);
  converting
      ->add_option("--mode", options.mode, "affine, mxfp4, nvfp4 or mxfp8 [affine]; quantizes")
      ->type_name("NAME")
      ->check(CLI::IsMember({"affine", "mxfp4", "nvfp4", "mxfp8"}).description(""))
      ->each(asks);
  converting
      ->add_option(
          "--recipe", options.recipe,
          "More bits where they count: mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6; quantizes")
      ->type_name("NAME")
      ->check(CLI::IsMember({"mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"}).description(""))
      ->each(asks);
  converting
      ->add_option("--dtype", options.dtype,
                   "Of what stays plain: float32, float16 or bfloat16 [the model's]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}).description(""));
  return converting;
}

}  // namespace pippin
