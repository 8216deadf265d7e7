// docs/models.md: its table of families is written from the registry, the catalogue and the golden checkpoints.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "models/catalogue.h"
#include "models/registry.h"
#include "text/parsers/registry.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

const fs::path root = PIPPIN_SOURCE_DIR;
const std::string begin_mark = "<!-- families: written by pippin_main_test -->\n",
                  end_mark = "<!-- end of families -->\n";

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words;
  std::istringstream in(list);
  for (std::string word; std::getline(in >> std::ws, word, ',');) words.push_back(word);
  return words;
}

/// A checkpoint of tests/golden.
struct Golden {
  std::string name, reference;
};

// "mlx-lm 0.32.2, mlx 0.32.4, ..." -> "mlx-lm 0.32.2"
std::string package_of(const std::string& reference) {
  return reference.substr(0, reference.find(','));
}

// By model_type.
std::map<std::string, std::vector<Golden>> golden_checkpoints() {
  std::map<std::string, std::vector<Golden>> found;
  for (const auto& entry : fs::directory_iterator(root / "tests/golden")) {
    const auto file = entry.path().filename().string();
    if (!file.ends_with(".golden.json")) continue;
    const auto golden = read_json_object(entry.path());
    const Members members(golden);
    found[members.string("model_type").value()].push_back(
        {members.string("checkpoint").value(), package_of(members.string("reference").value())});
  }
  for (auto& [type, list] : found)
    std::sort(list.begin(), list.end(),
              [](const Golden& a, const Golden& b) { return a.name < b.name; });
  return found;
}

// What layers keep, and so what a later prompt can go on from.
std::string reuse_of(const std::string& checkpoint) {
  const auto model = models::load_model(root / "tests/golden" / checkpoint, {});
  std::set<std::string> kinds;
  for (const auto& layer : model->traits().layers) {
    if (const auto* paged = std::get_if<nn::PagedKv>(&layer))
      kinds.insert(paged->values_in_keys ? "pages of latents"
                   : paged->window > 0   ? "pages of a window"
                                         : "pages");
    if (std::holds_alternative<nn::SharedKv>(layer)) kinds.insert("shared pages");
    if (std::holds_alternative<nn::RecurrentState>(layer)) kinds.insert("snapshots");
  }
  std::string text;
  for (const auto& kind : kinds) text += (text.empty() ? "" : ", ") + kind;
  return text;
}

std::string calls_of(const std::vector<std::string>& types) {
  for (const auto& type : types)
    if (const auto name = text::OutputFormat::choose("auto", "none", "", type).tool_parser();
        name != "none")
      return name;
  return "by template";
}

std::string row_of(const models::CatalogueEntry& entry,
                   const std::map<std::string, std::vector<Golden>>& goldens) {
  std::string types, verified;
  std::set<std::string> packages, reuse;
  for (const auto& type : words_of(entry.model_types)) {
    types += (types.empty() ? "`" : ", `") + type + "`";
    const auto list = goldens.find(type);
    if (list == goldens.end()) continue;
    for (const auto& golden : list->second) {
      verified += (verified.empty() ? "" : ", ") + golden.name;
      packages.insert(golden.reference);
      reuse.insert(reuse_of(golden.name));
    }
  }
  const auto joined = [](const std::set<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : "; ") + word;
    return text;
  };
  return "| " + types + " | " + entry.what + " | " + verified + " | " + joined(packages) + " | " +
         joined(reuse) + " | " + calls_of(words_of(entry.model_types)) + " | " + entry.differences +
         " |\n";
}

std::string family_table() {
  const auto goldens = golden_checkpoints();
  std::string table =
      "| model_type | what | golden checkpoints | reference | reuse | tool format without a "
      "template | where the reference is not followed |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const auto& entry : models::catalogue()) table += row_of(entry, goldens);
  return table;
}

TEST(ModelsDocument, NamesEachFamilyOfTheRegistryOnce) {
  std::vector<std::string> named;
  for (const auto& entry : models::catalogue())
    for (const auto& type : words_of(entry.model_types)) named.push_back(type);
  std::sort(named.begin(), named.end());
  EXPECT_EQ(named, words_of(models::supported_model_types()));
}

TEST(ModelsDocument, IsCurrent) {
  const auto file = root / "docs/models.md";
  auto text = read_text(file);
  const auto begin = text.find(begin_mark), end = text.find(end_mark);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const auto first = begin + begin_mark.size();
  const auto table = family_table();
  const bool current = text.substr(first, end - first) == table;
  if (!current && std::getenv("PIPPIN_WRITE_DOCS")) {
    std::ofstream(file) << text.replace(first, end - first, table);
    return;
  }
  EXPECT_TRUE(current)
      << "docs/models.md is not current: run this test with PIPPIN_WRITE_DOCS=1 to write it";
}

}  // namespace
}  // namespace pippin
