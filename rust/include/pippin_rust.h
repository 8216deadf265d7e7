// Pippin's Rust library (rust/): tokenizer, streaming detokenizer, chat templates, grammars and BLAKE3.
//
// Ownership: every pippin_*_new or _load has a matching _free; a PippinBuffer or PippinIds that the
//   library filled goes back through pippin_buffer_free or pippin_ids_free. What is passed in is only read during the call.
// Errors: a fallible function returns a PippinStatus and, when it is not PIPPIN_OK, a message in
//   `error` (may be null when not wanted) that the caller frees. `out` is written only on PIPPIN_OK.
//   No panic and no exception crosses the boundary.
// Threads: a PippinTokenizer, a PippinTemplate and a PippinGrammars are immutable and may be used from any number
//   of threads at once; a PippinDetokenizer, a PippinMatcher and a PippinBlake3 belong to one thread at a time.
// Text is UTF-8, given as pointer and size in bytes, never NUL-terminated; it may contain NUL.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum PippinStatus {
  PIPPIN_OK = 0,
  PIPPIN_INVALID = 1,    ///< the input is at fault; the message says how
  PIPPIN_INTERNAL = 2,   ///< a bug in the library (a panic that was caught)
  PIPPIN_BUSY = 3,       ///< a queue or a share of memory is full; trying again later may work
  PIPPIN_NO_MEMORY = 4,  ///< the system has no memory left
  PIPPIN_CANCELLED = 5,  ///< `wanted` said that nobody waits any longer
} PippinStatus;

/// Bytes owned by the library's allocator. {NULL, 0} is the empty buffer.
typedef struct PippinBuffer {
  uint8_t* data;
  size_t size;
} PippinBuffer;

/// Token ids owned by the library's allocator; size counts ids. {NULL, 0} is empty.
typedef struct PippinIds {
  int32_t* data;
  size_t size;
} PippinIds;

/// Frees and empties ids filled by this library; null and empty ones are left alone.
void pippin_ids_free(PippinIds* ids);
/// Frees and empties a buffer filled by this library; null and empty buffers are left alone.
void pippin_buffer_free(PippinBuffer* buffer);

// ---- BLAKE3 -------------------------------------------------------------------------------------

/// Writes the 32-byte digest of data[0, size) to `out`.
void pippin_blake3(const uint8_t* data, size_t size, uint8_t out[32]);

typedef struct PippinBlake3 PippinBlake3;
PippinBlake3* pippin_blake3_new(void);
void pippin_blake3_update(PippinBlake3* hasher, const uint8_t* data, size_t size);
/// Writes the digest of everything fed so far; more may be fed afterwards.
void pippin_blake3_finish(const PippinBlake3* hasher, uint8_t out[32]);
void pippin_blake3_free(PippinBlake3* hasher);

// ---- Lines from a terminal ----------------------------------------------------------------------

typedef struct PippinLineEditor PippinLineEditor;

/// `commands`: words with "/" at their beginning that Tab completes, one a line. `history`: the file that keeps what was typed; empty
/// for none. One thread at a time.
PippinStatus pippin_line_editor_new(const uint8_t* commands, size_t commands_size,
                                    const uint8_t* history, size_t history_size,
                                    PippinLineEditor** out, PippinBuffer* error);
/// Reads an entry from standard input: several lines behind a backslash, Alt-Enter or Ctrl-J, as pasted, or between two """. Where that is
/// no terminal, no prompt is shown. PIPPIN_CANCELLED for Ctrl-C; `ended` is 1 at the end of the input.
PippinStatus pippin_line_editor_read(PippinLineEditor* editor, const uint8_t* prompt,
                                     size_t prompt_size, PippinBuffer* line, int32_t* ended,
                                     PippinBuffer* error);
void pippin_line_editor_free(PippinLineEditor* editor);

// ---- Tokenizer ----------------------------------------------------------------------------------

typedef struct PippinTokenizer PippinTokenizer;

/// Loads the bytes of a Hugging Face tokenizer.json. Its truncation and padding settings are
/// dropped: a prompt is never cut or padded in silence.
PippinStatus pippin_tokenizer_load(const uint8_t* json, size_t size, PippinTokenizer** out,
                                   PippinBuffer* error);
void pippin_tokenizer_free(PippinTokenizer* tokenizer);

/// Encodes UTF-8 text; special tokens spelt out in it become their ids. With `add_special` the
/// post-processor's tokens (BOS ...) are added.
PippinStatus pippin_tokenizer_encode(const PippinTokenizer* tokenizer, const uint8_t* text,
                                     size_t size, int add_special, PippinIds* out,
                                     PippinBuffer* error);

/// Decodes ids to UTF-8; ids outside the vocabulary are skipped, bytes that are no UTF-8 become U+FFFD.
PippinStatus pippin_tokenizer_decode(const PippinTokenizer* tokenizer, const int32_t* ids,
                                     size_t num_ids, int skip_special, PippinBuffer* out,
                                     PippinBuffer* error);

/// The id of a token's exact (vocabulary) spelling, or -1.
int32_t pippin_tokenizer_token_to_id(const PippinTokenizer* tokenizer, const uint8_t* token,
                                     size_t size);
/// The vocabulary's spelling of an id in `out`; PIPPIN_INVALID when there is none.
PippinStatus pippin_tokenizer_id_to_token(const PippinTokenizer* tokenizer, int32_t id,
                                          PippinBuffer* out, PippinBuffer* error);
/// The bytes that an id stands for in a text, in `out`: part of a character where the vocabulary cuts one; an added
/// token's are its spelling. PIPPIN_INVALID when there is no such id.
PippinStatus pippin_tokenizer_token_bytes(const PippinTokenizer* tokenizer, int32_t id,
                                          PippinBuffer* out, PippinBuffer* error);
/// One more than the largest id, added tokens included.
int32_t pippin_tokenizer_vocab_size(const PippinTokenizer* tokenizer);
/// 1 when the id is an added token marked special, else 0.
int pippin_tokenizer_is_special(const PippinTokenizer* tokenizer, int32_t id);

/// Reads the bytes of a SentencePiece model (tokenizer.model) into a JSON object in `out`: pieces, scores and kinds by id; model_type, byte_fallback,
/// treat_whitespace_as_suffix, unk_id, bos_id, eos_id and pad_id of its trainer; charsmap (base64), add_dummy_prefix, remove_extra_whitespaces
/// and escape_whitespaces of its normalizer; denormalizes. Absent fields have the format's defaults.
PippinStatus pippin_sentence_piece_read(const uint8_t* data, size_t size, PippinBuffer* out,
                                        PippinBuffer* error);

// ---- Streaming detokenizer ----------------------------------------------------------------------

typedef struct PippinDetokenizer PippinDetokenizer;

/// Starts an empty stream; keeps the tokenizer's data alive by itself.
PippinStatus pippin_detokenizer_new(const PippinTokenizer* tokenizer, int skip_special,
                                    PippinDetokenizer** out, PippinBuffer* error);
void pippin_detokenizer_free(PippinDetokenizer* detokenizer);

/// Feeds one id. *text and *size are the text that this id settled (possibly none): whole UTF-8
/// characters, valid until the next call on this detokenizer. The concatenation of all pushes and the
/// finish equals pippin_tokenizer_decode of all ids.
PippinStatus pippin_detokenizer_push(PippinDetokenizer* detokenizer, int32_t id,
                                     const uint8_t** text, size_t* size, PippinBuffer* error);
/// Ends the stream and gives what was held back; afterwards the detokenizer is as new.
PippinStatus pippin_detokenizer_finish(PippinDetokenizer* detokenizer, const uint8_t** text,
                                       size_t* size, PippinBuffer* error);

// ---- Chat template ------------------------------------------------------------------------------

typedef struct PippinTemplate PippinTemplate;

/// Compiles a Jinja chat template with the environment that transformers gives it.
PippinStatus pippin_template_new(const uint8_t* source, size_t size, PippinTemplate** out,
                                 PippinBuffer* error);
void pippin_template_free(PippinTemplate* chat_template);

/// One JSON document, or absent when data is NULL.
typedef struct PippinText {
  const uint8_t* data;
  size_t size;
} PippinText;

/// What a template is rendered with.
typedef struct PippinTemplateInput {
  PippinText messages;        ///< JSON array
  PippinText tools;           ///< JSON array; absent: the template sees none
  PippinText kwargs;          ///< JSON object of further variables; absent: none
  PippinText special_tokens;  ///< JSON object (bos_token ...); kwargs win over it; absent: none
  PippinText now;             ///< "2026-11-22T19:32:12", what strftime_now says; absent: local time
  int add_generation_prompt;
} PippinTemplateInput;

/// Renders; bounded in time, memory, recursion and output size whatever the template does.
/// PIPPIN_INVALID carries raise_exception's words or the engine's, with the template's line.
PippinStatus pippin_template_render(const PippinTemplate* chat_template,
                                    const PippinTemplateInput* input, PippinBuffer* out,
                                    PippinBuffer* error);

// ---- Grammars -----------------------------------------------------------------------------------

/// Compiles grammars for one tokenizer.
typedef struct PippinGrammars PippinGrammars;

/// 0: the library's own figure.
typedef struct PippinGrammarOptions {
  size_t threads;  ///< that compile
  size_t waiting;  ///< grammars that wait for one
  size_t
      all_bytes;  ///< of all matchers together; where they take more, compiling and copying is PIPPIN_BUSY
  size_t bytes;  ///< of one compiled grammar, and of what one matcher learns of it
} PippinGrammarOptions;

/// Lays the vocabulary out as a tree (a tenth of a second for 150,000 tokens) and keeps the tokenizer's data alive by
/// itself. `end_tokens` end an answer; at least one must be of the vocabulary.
PippinStatus pippin_grammars_new(const PippinTokenizer* tokenizer, const int32_t* end_tokens,
                                 size_t num_end_tokens, const PippinGrammarOptions* options,
                                 PippinGrammars** out, PippinBuffer* error);
void pippin_grammars_free(PippinGrammars* grammars);
/// That all matchers take now, as allocated.
size_t pippin_grammars_bytes(const PippinGrammars* grammars);
/// Grammars that wait for a thread.
size_t pippin_grammars_waiting(const PippinGrammars* grammars);

typedef enum PippinGrammarKind {
  PIPPIN_GRAMMAR_JSON_OBJECT = 0,  ///< any JSON object; no text
  PIPPIN_GRAMMAR_JSON_SCHEMA = 1,  ///< the schema
  PIPPIN_GRAMMAR_REGEX = 2,        ///< matches the whole answer
  PIPPIN_GRAMMAR_CHOICE = 3,       ///< a JSON array of strings, of which the answer is one
  PIPPIN_GRAMMAR_LARK = 4,   ///< llguidance's dialect of Lark; it begins with the rule `start`
  PIPPIN_GRAMMAR_CALLS = 5,  ///< tool calls, described in rust/src/grammar/call_grammar.rs
} PippinGrammarKind;

/// Follows one answer through a grammar.
typedef struct PippinMatcher PippinMatcher;

/// What is to be compiled, for whom.
typedef struct PippinGrammarOrder {
  int32_t kind;         ///< a PippinGrammarKind
  const uint8_t* text;  ///< UTF-8
  size_t size;
  uint32_t limit_ms;     ///< from when it begins
  const uint8_t* owner;  ///< owners take turns
  size_t owner_size;
  const uint8_t* connection;  ///< an owner's connections take turns
  size_t connection_size;
  /// Whether anybody still waits for it; asked now and then on any thread, the caller's before the call returns, until `done`.
  int32_t (*wanted)(void* context);
  /// Called once, on a thread of the library's, or on the caller's before the call returns. The matcher is the caller's from then on,
  /// or null; the error is the library's.
  void (*done)(void* context, PippinStatus status, PippinMatcher* matcher, PippinBuffer* error);
  void* context;
} PippinGrammarOrder;

/// Has a grammar compiled on a thread of the library's when its owner's turn comes, and does not wait. PIPPIN_INVALID carries what
/// can't be kept to, by name, or that it took longer than limit_ms. PIPPIN_CANCELLED: it was not `wanted` any more. PIPPIN_BUSY: as
/// many wait as may, or all memory for grammars is taken. The order and what it points to are read before this returns.
void pippin_grammar_compile(const PippinGrammars* grammars, const PippinGrammarOrder* order);
/// Paths of what tools that are not strict ask for and the grammar does not keep to, a line each; often none.
void pippin_matcher_ignored(const PippinMatcher* matcher, PippinBuffer* out);
/// That it takes, and what its grammar leaves to the next ones.
size_t pippin_matcher_bytes(const PippinMatcher* matcher);
/// An independent matcher in the same state. Of a matcher that nobody uses otherwise any thread may take copies.
PippinStatus pippin_matcher_copy(const PippinMatcher* matcher, PippinMatcher** out,
                                 PippinBuffer* error);
/// What it has learnt of its grammar the next copies of matchers at the beginning know, too.
void pippin_matcher_free(PippinMatcher* matcher);

/// Bit t % 32 of words[t / 32]: whether token t may come next. End tokens may where the answer may end. Words behind the
/// vocabulary become 0.
PippinStatus pippin_matcher_fill(PippinMatcher* matcher, uint32_t* words, size_t num_words,
                                 PippinBuffer* error);
/// *out becomes 1 where the token may come next, else 0.
PippinStatus pippin_matcher_allows(PippinMatcher* matcher, int32_t token, int32_t* out,
                                   PippinBuffer* error);
/// The token comes. PIPPIN_INVALID where it may not; the matcher is of no use then.
PippinStatus pippin_matcher_consume(PippinMatcher* matcher, int32_t token, PippinBuffer* error);
/// The tokens that must come next, in order; they still have to be consumed.
PippinStatus pippin_matcher_forced(PippinMatcher* matcher, PippinIds* out, PippinBuffer* error);
/// 1 where the answer is whole and nothing may follow; 0 where something failed.
int pippin_matcher_is_finished(const PippinMatcher* matcher);

#ifdef __cplusplus
}
#endif
