#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace pippin::engine {
namespace {

void append_bytes(std::string& out, const void* data, std::size_t size) {
  out.append(static_cast<const char*>(data), size);
}

std::int64_t remaining(const Sequence& sequence) {
  return sequence.num_tokens() - sequence.num_computed;
}

}  // namespace

std::string page_content(const Sequence& sequence, std::size_t index, int page_size) {
  const auto begin = static_cast<std::int64_t>(index) * page_size, end = begin + page_size;
  std::string content;
  append_bytes(content, sequence.tokens.data() + begin,
               static_cast<std::size_t>(page_size) * sizeof(std::int32_t));
  for (const auto& item : sequence.media) {
    const auto from = std::max(begin, item.span.begin),
               to = std::min(end, item.span.begin + item.span.length);
    if (from >= to) continue;
    const std::int64_t place[] = {from - begin,
                                  from - item.span.begin};  // in the page, in the picture
    append_bytes(content, place, sizeof place);
    append_bytes(content, item.digest.data(), item.digest.size());
  }
  return content;
}

Batch Scheduler::next() {
  drop_cancelled();
  Batch batch;
  plan_decode(batch);
  plan_prefill(batch);
  admit(batch);
  return batch;
}

void Scheduler::drop_cancelled() {
  const auto cancelled = [&](const std::shared_ptr<Sequence>& sequence) {
    if (!sequence->output->cancelled()) return false;
    free_pages(*sequence);
    return true;
  };
  std::erase_if(running_, cancelled);
  std::erase_if(waiting_, cancelled);
}

void Scheduler::plan_decode(Batch& batch) {
  // By index: preempting shortens running_ from its end, possibly by the very sequence that asks.
  for (std::size_t i = 0; i < running_.size() && batch.num_tokens < options_.max_batch_tokens;
       ++i) {
    if (remaining(*running_[i]) != 1) continue;
    while (i < running_.size() && !ensure_pages(*running_[i], running_[i]->num_tokens()))
      preempt_youngest();
    if (i < running_.size()) add_chunk(batch, running_[i], 1);
  }
}

void Scheduler::plan_prefill(Batch& batch) {
  for (const auto& sequence : running_)
    if (remaining(*sequence) > 1 && batch.num_tokens < options_.max_batch_tokens)
      add_chunk(batch, sequence, remaining(*sequence));
}

void Scheduler::admit(Batch& batch) {
  while (!waiting_.empty() && batch.num_tokens < options_.max_batch_tokens &&
         running_.size() < static_cast<std::size_t>(options_.max_sequences)) {
    const auto sequence = waiting_.front();
    if (!place(*sequence)) return;  // in order: a later, shorter one must not starve it
    waiting_.pop_front();
    running_.push_back(sequence);
    if (!std::exchange(sequence->admitted, true)) {  // not when it comes back from preemption
      counters_.prompt_tokens += sequence->num_prompt;
      counters_.cached_tokens += sequence->num_computed;
      sequence->output->set_cached_tokens(sequence->num_computed);
    }
    add_chunk(batch, sequence, remaining(*sequence));
  }
}

bool Scheduler::place(Sequence& sequence) {
  match_prefix(sequence);
  if (ensure_pages(sequence, sequence.num_tokens())) return true;
  free_pages(sequence);
  return false;
}

void Scheduler::match_prefix(Sequence& sequence) {
  // At least one token is computed, since its logits are wanted.
  const auto most = static_cast<std::size_t>((sequence.num_tokens() - 1) / pages_.page_size());
  while (sequence.pages.size() < most) {
    const auto content = page_content(sequence, sequence.pages.size(), pages_.page_size());
    const auto page = pages_.find(sequence.chain, content);
    if (!page) break;
    sequence.pages.push_back(*page);
    sequence.chain = pages_.chain_of(*page);
  }
  sequence.num_published = sequence.pages.size();
  sequence.num_computed = static_cast<std::int64_t>(sequence.pages.size()) * pages_.page_size();
}

bool Scheduler::ensure_pages(Sequence& sequence, std::int64_t num_tokens) {
  const auto wanted =
      static_cast<std::size_t>((num_tokens + pages_.page_size() - 1) / pages_.page_size());
  if (wanted <= sequence.pages.size()) return true;
  if (static_cast<std::size_t>(pages_.num_available()) < wanted - sequence.pages.size())
    return false;
  while (sequence.pages.size() < wanted) sequence.pages.push_back(*pages_.allocate());
  return true;
}

void Scheduler::add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence,
                          std::int64_t count) {
  const auto room = static_cast<std::int64_t>(options_.max_batch_tokens - batch.num_tokens);
  const auto taken = static_cast<int>(std::min(count, room));
  batch.chunks.push_back(
      {sequence, taken, sequence->num_computed + taken == sequence->num_tokens()});
  batch.num_tokens += taken;
}

void Scheduler::preempt_youngest() {
  const auto sequence = running_.back();
  running_.pop_back();
  free_pages(*sequence);
  waiting_.push_front(sequence);
  ++counters_.preemptions;
}

void Scheduler::preempt_all() {
  while (!running_.empty()) preempt_youngest();
}

void Scheduler::free_pages(Sequence& sequence) {
  pages_.release(sequence.pages);
  sequence.pages.clear();
  sequence.num_computed = 0;
  sequence.num_published = 0;
  sequence.chain = root_chain;
}

void Scheduler::publish_full_pages(Sequence& sequence) {
  const auto full = static_cast<std::size_t>(sequence.num_computed / pages_.page_size());
  for (; sequence.num_published < full; ++sequence.num_published) {
    const auto index = sequence.num_published;
    sequence.chain = pages_.publish(sequence.pages[index], sequence.chain,
                                    page_content(sequence, index, pages_.page_size()));
  }
}

std::optional<FinishReason> Scheduler::append(Sequence& sequence, std::int32_t token) {
  sequence.tokens.push_back(token);
  ++counters_.generated_tokens;
  if (sequence.is_end(token)) return FinishReason::stop;
  sequence.output->push(token);
  if (sequence.num_generated() >= sequence.max_tokens) return FinishReason::length;
  return {};
}

void Scheduler::commit(const Batch& batch, const std::vector<std::int32_t>& tokens) {
  std::size_t sampled = 0;
  for (const auto& chunk : batch.chunks) {
    Sequence& sequence = *chunk.sequence;
    sequence.num_computed += chunk.count;
    publish_full_pages(sequence);
    if (!chunk.sample) continue;
    if (const auto reason = append(sequence, tokens[sampled++])) {
      remove(chunk.sequence);
      sequence.output->finish(*reason);
    }
  }
}

void Scheduler::remove(const std::shared_ptr<Sequence>& sequence) {
  free_pages(*sequence);
  std::erase(running_, sequence);
}

void Scheduler::fail(const Batch& batch, const Error& error) {
  for (const auto& chunk : batch.chunks) {
    remove(chunk.sequence);
    chunk.sequence->output->fail(error);
  }
}

void Scheduler::fail_all(const Error& error) {
  for (const auto& sequence : running_) {
    free_pages(*sequence);
    sequence->output->fail(error);
  }
  for (const auto& sequence : waiting_) sequence->output->fail(error);
  running_.clear();
  waiting_.clear();
}

}  // namespace pippin::engine
