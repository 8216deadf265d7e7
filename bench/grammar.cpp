// What grammars cost.
//
//   bench_grammar masks               time to find out which of 151,936 tokens may come next, over whole answers
//   bench_grammar batch MODEL [N]     tokens a second of a batch of N (16), with and without a grammar, in turns. A checkpoint of
//                                     random weights (bench/random_checkpoint.py) gets the tokenizer of the first
//   bench_grammar tokenizer DIR       writes the made-up tokenizer of the first to DIR, for a random checkpoint to have
//
// The tokenizer has Qwen3's number of tokens: bytes, and random words, numbers, marks and other scripts as vocabularies have.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "pippin/engine.h"
#include "text/grammar.h"
#include "text/parsers/call_grammar.h"

namespace {

using namespace pippin;
using Clock = std::chrono::steady_clock;
using Kind = text::Grammar::Kind;

constexpr std::int32_t vocabulary = 151936, end_token = 151645;

// ---- the tokenizer

std::string utf8(char32_t c) {
  std::string s;
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))};
  return {static_cast<char>(0xE0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 63)),
          static_cast<char>(0x80 | (c & 63))};
}

// GPT-2's byte-level alphabet.
std::string alphabet(std::string_view bytes) {
  std::string spelled;
  for (const unsigned char byte : bytes) {
    char32_t c = byte, shifted = 0x100;
    const auto printable = [](char32_t b) {
      return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
    };
    if (!printable(byte)) {
      for (char32_t b = 0; b < byte; ++b) shifted += !printable(b);
      c = shifted;
    }
    spelled += utf8(c);
  }
  return spelled;
}

class Words {
 public:
  std::string next() {
    const auto kind = below(100);
    if (kind < 55) return letters(below(2) ? " " : "", 'a', 26, 2 + below(9));
    if (kind < 65)
      return letters(below(2) ? " " : "", 'A', 26, 1) + letters("", 'a', 26, 1 + below(8));
    if (kind < 68) return letters("", '0', 10, 1 + below(3));
    if (kind < 76) return marks();
    return other_script();
  }

 private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_()) % n; }
  std::string letters(std::string begin, char first, unsigned count, unsigned length) {
    for (unsigned i = 0; i < length; ++i)
      begin += static_cast<char>(first + static_cast<char>(below(count)));
    return begin;
  }
  std::string marks() {
    constexpr std::string_view all = "{}[]\":,.-_()<>/\\=+*;!?'#&|\n\t    ";
    std::string text;
    for (unsigned i = 0, n = 1 + below(5); i < n; ++i)
      text += all[below(static_cast<unsigned>(all.size()))];
    return text;
  }
  std::string other_script() {
    constexpr char32_t first[] = {0x4E00, 0x4E00, 0x430, 0x3040, 0xAC00, 0x628, 0xE0};
    const auto begin = first[below(7)];
    std::string text = begin < 0x3000 && below(2) ? " " : "";
    for (unsigned i = 0, n = 1 + below(4); i < n; ++i)
      text += utf8(begin + below(begin == 0x4E00 ? 8000 : begin == 0xE0 ? 31 : 26));
    return text;
  }

  std::mt19937 random_{1};
};

std::vector<std::string> make_words() {
  std::vector<std::string> words;
  std::unordered_map<std::string, bool> seen;
  for (int byte = 0; byte < 256; ++byte) words.emplace_back(1, static_cast<char>(byte));
  for (const auto* text : {"\":", "\": ", "\", \"", "{\"", "\"}", "\": \"", "name", "title", "\",",
                           "},", "}]", " {\"", " \""})
    words.emplace_back(text);
  for (const auto& word : words) seen[word] = true;
  for (Words random; words.size() < vocabulary;)
    if (auto word = random.next(); !std::exchange(seen[word], true))
      words.push_back(std::move(word));
  return words;
}

const std::vector<std::string>& words() {
  static const auto made = make_words();
  return made;
}

void write_tokenizer(const std::filesystem::path& directory) {
  json::object vocab;
  for (std::int32_t id = 0; id < vocabulary; ++id)
    vocab[id == end_token ? "<|im_end|>" : alphabet(words()[static_cast<std::size_t>(id)])] = id;
  const json::object added{{"id", end_token},      {"content", "<|im_end|>"}, {"special", true},
                           {"single_word", false}, {"lstrip", false},         {"rstrip", false},
                           {"normalized", false}};
  const json::object tokenizer{
      {"version", "1.0"},
      {"added_tokens", json::array{added}},
      {"pre_tokenizer",
       {{"type", "ByteLevel"},
        {"add_prefix_space", false},
        {"trim_offsets", false},
        {"use_regex", true}}},
      {"decoder",
       {{"type", "ByteLevel"},
        {"add_prefix_space", false},
        {"trim_offsets", false},
        {"use_regex", true}}},
      {"model", {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", json::array()}}}};
  std::ofstream(directory / "tokenizer.json") << json::serialize(tokenizer);
}

// The longest token that the text begins with and the mask allows; -1 without one.
std::int32_t longest_allowed(std::string_view text, const std::vector<std::uint32_t>& mask) {
  static const auto ids = [] {
    std::unordered_map<std::string, std::int32_t> map;
    for (std::int32_t id = 0; id < vocabulary; ++id)
      if (id != end_token) map[words()[static_cast<std::size_t>(id)]] = id;
    return map;
  }();
  for (auto length = std::min<std::size_t>(text.size(), 16); length > 0; --length) {
    const auto found = ids.find(std::string(text.substr(0, length)));
    if (found == ids.end()) continue;
    const auto token = static_cast<std::size_t>(found->second);
    if ((mask[token / 32] >> (token % 32)) & 1u) return found->second;
  }
  return -1;
}

// ---- masks

struct Case {
  const char* name;
  text::Grammar grammar;
  std::string answer;
};

constexpr std::string_view tools =
    R"([{"type": "function", "function": {"name": "write", "parameters": {"type": "object", "properties": {
       "path": {"type": "string", "maxLength": 60}, "text": {"type": "string"}, "mode": {"anyOf": [{"type": "string", "maxLength": 9},
       {"type": "null"}]}}, "required": ["path", "text", "mode"]}}}])";

std::vector<Case> cases() {
  return {
      {"flat object",
       {Kind::json_schema,
        R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer",
           "minimum": 0, "maximum": 150}, "email": {"type": "string", "format": "email"}}, "required": ["name", "age", "email"],
           "additionalProperties": false})"},
       R"({"name": "Ada Lovelace of the analytical engine", "age": 36, "email": "ada@example.com"})"},
      {"nested, with enums and references",
       {Kind::json_schema,
        R"({"type": "object", "properties": {"title": {"type": "string", "maxLength": 60}, "steps": {"type": "array",
           "items": {"$ref": "#/$defs/step"}}, "kind": {"enum": ["report", "plan", "note"]}, "when": {"type": "string",
           "format": "date-time"}}, "required": ["title", "steps", "kind", "when"], "additionalProperties": false, "$defs": {"step":
           {"type": "object", "properties": {"what": {"type": "string"}, "cost": {"type": "number", "minimum": 0}, "parts":
           {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}, {"$ref": "#/$defs/step"}]}}},
           "required": ["what", "cost", "parts"], "additionalProperties": false}}})"},
       R"({"title": "How an apple grows from a seed", "steps": [{"what": "plant the seed", "cost": 0.25, "parts": ["soil", null,
 {"what": "water", "cost": 1, "parts": []}]}, {"what": "wait for the years to go by", "cost": 10.5, "parts": []}], "kind": "plan",
 "when": "2024-02-29T12:30:00Z"})"},
      {"any object",
       {Kind::json_object, ""},
       R"({"a": [1, 2.5, {"b": "some words in a string", "c": null}], "d": true, "long": "and a longer string, too"})"},
      {"patterns and bounds",
       {Kind::json_schema,
        R"({"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string", "pattern":
           "^[A-Z]{3}-[0-9]{4}$"}, "text": {"type": "string", "minLength": 2, "maxLength": 40}, "x": {"type": "number", "minimum": -1.5,
           "maximum": 1.5}}, "required": ["id", "text", "x"], "additionalProperties": false}})"},
       R"([{"id": "ABC-1234", "text": "words and more words", "x": -0.75}, {"id": "XYZ-0000", "text": "ok", "x": 1.25}])"},
      {"regex",
       {Kind::regex, R"([a-z]+(, [a-z]+)* and [a-z]+\.)"},
       "apples, pears, plums and cherries."},
      {"a call between tags", text::call_grammar("qwen3_coder", tools, {}, false),
       "<tool_call>\n<function=write>\n<parameter=path>\nnotes/apples.txt\n</"
       "parameter>\n<parameter=text>\nAn apple grows "
       "from a seed,\nif only you "
       "wait.\n</parameter>\n<parameter=mode>\nnull\n</parameter>\n</function>\n</tool_call>"},
      {"a call in Python", text::call_grammar("pythonic", tools, {}, false),
       "[write(path=\"notes/apples.txt\", text='An apple grows from a seed, if only you wait.', "
       "mode=None)]"},
      {"a call of Gemma 4", text::call_grammar("gemma4", tools, {}, false),
       "<|tool_call>call:write{mode:null,path:<|\"|>notes/apples.txt<|\"|>,text:<|\"|>An apple "
       "grows from a seed,\nif only you "
       "wait.<|\"|>}<tool_call|>"},
  };
}

void print(const char* name, std::vector<double>& micros) {
  std::sort(micros.begin(), micros.end());
  double sum = 0;
  for (const double value : micros) sum += value;
  const auto at = [&](double share) {
    return micros[std::min(micros.size() - 1,
                           static_cast<std::size_t>(share * static_cast<double>(micros.size())))];
  };
  std::printf("%-36s %7zu %9.1f %9.1f %9.1f %9.1f\n", name, micros.size(),
              sum / static_cast<double>(micros.size()), at(0.5), at(0.99), micros.back());
}

double micros_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// As the engine does: what is forced takes no mask.
void follow(text::Matcher& matcher, const Case& one, std::vector<std::uint32_t>& mask,
            std::vector<double>& times) {
  for (std::string_view rest = one.answer; !rest.empty();) {
    auto tokens = matcher.forced();
    if (tokens.empty()) {
      const auto start = Clock::now();
      matcher.fill(mask);
      times.push_back(micros_since(start));
      tokens.push_back(longest_allowed(rest, mask));
    }
    for (const auto token : tokens) {
      const auto& word = token < 0 ? std::string("?") : words()[static_cast<std::size_t>(token)];
      if (!rest.starts_with(word)) {
        std::cerr << one.name << ": the grammar does not allow what follows: " << rest << '\n';
        std::exit(1);
      }
      matcher.accept(token);
      rest.remove_prefix(word.size());
    }
  }
}

// The first answer to each of many grammars: nothing is known of them yet.
void bench_new_grammars(text::GrammarCompiler& compiler, std::vector<std::uint32_t>& mask) {
  std::vector<double> times;
  for (int round = 0; round < 20; ++round)
    for (auto one : cases()) {
      if (one.grammar.kind != Kind::json_schema) continue;
      one.grammar.text.insert(1, R"("description": "number )" + std::to_string(round) + R"(", )");
      auto matcher = compiler.compile(one.grammar);
      follow(matcher, one, mask, times);
    }
  print("first answers to new schemas", times);
}

// ---- random answers

struct Restriction {
  const char* name;
  ResponseFormat::Kind kind;
  std::string text;
};

// Every answer has the same number of tokens: none can end soon, and little of it is forced.
std::vector<Restriction> restrictions() {
  using Asked = ResponseFormat::Kind;
  return {
      {"a schema", Asked::json_schema,
       R"({"type": "array", "minItems": 100000, "items": {"type": "object", "properties": {"id": {"type": "integer"},
               "text": {"type": "string"}}, "required": ["id", "text"], "additionalProperties": false}})"},
      {"a schema of short strings", Asked::json_schema,
       R"({"type": "array", "minItems": 100000, "items": {"anyOf": [{"type": "integer"}, {"type": "string",
               "maxLength": 30}, {"type": "null"}]}})"},
      {"a schema of short names", Asked::json_schema,
       R"({"type": "array", "minItems": 100000, "items": {"anyOf": [{"type": "integer"}, {"type": "string",
               "pattern": "^[A-Za-z0-9 ]{1,30}$"}, {"type": "null"}]}})"},
      {"a regex of words", Asked::regex, R"(([a-z]+, )+\.)"}};
}

std::int32_t random_allowed(const std::vector<std::uint32_t>& mask, std::mt19937& random) {
  std::vector<std::int32_t> allowed;
  for (std::int32_t token = 0; token < vocabulary; ++token)
    if ((mask[static_cast<std::size_t>(token) / 32] >> (token % 32)) & 1u) allowed.push_back(token);
  return allowed[random() % allowed.size()];
}

// What a step costs beside the mask, too, where any token that may come is as likely: as under random weights.
void bench_random_answers(text::GrammarCompiler& compiler, std::vector<double>& begins) {
  std::mt19937 random(3);
  std::vector<std::uint32_t> mask(text::mask_words(vocabulary));
  for (const auto& [name, kind, text] : restrictions()) {
    const auto of = kind == ResponseFormat::Kind::regex ? Kind::regex : Kind::json_schema;
    std::vector<double> fills, accepts;
    for (int answer = 0; answer < 8; ++answer) {
      auto start = Clock::now();
      auto matcher = compiler.compile({of, text});
      if (answer > 0) begins.push_back(micros_since(start));
      for (int i = 0; i < 64; ++i) {
        start = Clock::now();
        matcher.fill(mask);
        fills.push_back(micros_since(start));
        const auto token = random_allowed(mask, random);
        start = Clock::now();
        matcher.accept(token);
        for (const auto forced : matcher.forced()) matcher.accept(forced);
        accepts.push_back(micros_since(start));
      }
    }
    print((std::string("random answers to ") + name).c_str(), fills);
    print("  a token of these taken", accepts);
  }
}

void bench_masks() {
  const auto directory = std::filesystem::temp_directory_path() / "pippin_bench_grammar";
  std::filesystem::create_directories(directory);
  write_tokenizer(directory);
  const auto tokenizer = text::Tokenizer::load(directory);
  auto start = Clock::now();
  text::GrammarCompiler compiler(tokenizer, std::vector{end_token});
  std::printf("the trie of %d tokens: %.0f ms\n\n%-36s %7s %9s %9s %9s %9s\n", vocabulary,
              micros_since(start) / 1e3, "microseconds a mask", "masks", "mean", "p50", "p99",
              "most");
  std::vector<double> all, compiling, begins;
  std::vector<std::uint32_t> mask(text::mask_words(vocabulary));
  for (const auto& one : cases()) {
    start = Clock::now();
    compiler.compile(one.grammar);
    compiling.push_back(micros_since(start));
    std::vector<double> times;
    for (int round = 0; round < 20; ++round) {
      start = Clock::now();
      auto matcher = compiler.compile(one.grammar);  // as each request has it
      begins.push_back(micros_since(start));
      follow(matcher, one, mask, times);
    }
    all.insert(all.end(), times.begin(), times.end());
    print(one.name, times);
  }
  print("all", all);
  bench_new_grammars(compiler, mask);
  bench_random_answers(compiler, begins);
  print("compiling a grammar", compiling);
  print("beginning with a known one", begins);
}

// ---- a batch

double tokens_per_second(Engine& engine, int batch, const ResponseFormat& format) {
  constexpr int tokens = 64;
  CompletionRequest request;
  request.stop.max_tokens = tokens;
  request.stop.ignore_eos = true;
  request.format = format;
  ChatStreams streams;
  for (int i = 0; i < batch; ++i) {
    request.text = "Number " + std::to_string(i);
    request.sampling.seed = static_cast<std::uint64_t>(i);
    streams.push_back(std::move(engine.complete(request, 1).front()));
  }
  for (auto& stream : streams) stream->next();  // the prompts are read
  const auto before = engine.stats().generated_tokens;
  const auto start = Clock::now();
  for (auto& stream : streams)
    while (stream->next()) {
    }
  return static_cast<double>(engine.stats().generated_tokens - before) /
         (micros_since(start) / 1e6);
}

// Random checkpoints have a few lines in a tokenizer's place.
constexpr std::uintmax_t least_tokenizer_bytes = 10000;

// The model, with the made-up tokenizer where it has none to speak of.
std::filesystem::path with_tokenizer(const std::filesystem::path& model) {
  const auto own = model / "tokenizer.json";
  if (!std::filesystem::exists(own) || std::filesystem::file_size(own) > least_tokenizer_bytes)
    return model;
  const auto copy = std::filesystem::temp_directory_path() / "pippin_bench_grammar_model";
  std::filesystem::remove_all(copy);
  std::filesystem::create_directories(copy);
  for (const auto& file : std::filesystem::directory_iterator(model))
    if (file.path().filename() != own.filename())
      std::filesystem::create_symlink(std::filesystem::canonical(file.path()),
                                      copy / file.path().filename());
  write_tokenizer(copy);
  return copy;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Each restriction between two runs without.
void bench_batch(const std::filesystem::path& model, int batch) {
  const auto engine = Engine::load(with_tokenizer(model));
  const auto cases = restrictions();
  std::vector<std::vector<double>> ratios(cases.size());
  for (int round = 0; round < 6; ++round) {
    double before = tokens_per_second(*engine, batch, {});
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const double with = tokens_per_second(*engine, batch, {cases[i].kind, cases[i].text}),
                   after = tokens_per_second(*engine, batch, {});
      const double without = (before + after) / 2;
      before = after;
      if (round == 0) continue;  // the first one builds the trie
      ratios[i].push_back(with / without);
      std::printf("%d at once, tok/s: %.1f, with %s %.1f (%.3f)\n", batch, without, cases[i].name,
                  with, with / without);
      std::fflush(stdout);
    }
  }
  for (std::size_t i = 0; i < cases.size(); ++i)
    std::printf("median with %s: %.3f of the speed without\n", cases[i].name, median(ratios[i]));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "masks") {
    bench_masks();
  } else if (what == "batch" && argc > 2) {
    bench_batch(argv[2], argc > 3 ? std::atoi(argv[3]) : 16);
  } else if (what == "tokenizer" && argc > 2) {
    write_tokenizer(argv[2]);
  } else {
    std::cerr << "bench_grammar masks | batch MODEL [N] | tokenizer DIR\n";
    return 1;
  }
}
