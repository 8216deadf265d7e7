#include "kernels/layout.h"

#include <algorithm>
#include <utility>

namespace pippin::kernels {
namespace {

mx::array int_array(const std::vector<std::int32_t>& values, mx::Shape shape) {
  return mx::array(values.begin(), std::move(shape), mx::int32);
}

// Page numbers [B, P] -> slots [B, length]: only the page numbers travel to the device.
mx::array slots_of_pages(const std::vector<std::int32_t>& pages, int num_sequences, int page_size,
                         int length) {
  const int num_pages = static_cast<int>(pages.size()) / num_sequences;
  const auto first =
      int_array(pages, {num_sequences, num_pages, 1}) * mx::array(page_size, mx::int32);
  const auto slots =
      mx::reshape(first + mx::arange(page_size, mx::int32), {num_sequences, num_pages * page_size});
  return mx::slice(slots, {0, 0}, {num_sequences, length});
}

// int32 [B, 1, 1, 1], absent where all are the longest.
std::optional<mx::array> lengths_of(std::span<const ContextRows> parts, int longest) {
  if (std::all_of(parts.begin(), parts.end(),
                  [&](const auto& part) { return part.length == longest; }))
    return {};
  std::vector<std::int32_t> lengths;
  for (const auto& part : parts) lengths.push_back(part.length);
  const int count = static_cast<int>(lengths.size());
  return int_array(lengths, {count, 1, 1, 1});
}

PagedLayout::Group make_group(std::span<const ContextRows> parts, int first_row, int page_size) {
  int longest = 0;
  for (const auto& part : parts) longest = std::max(longest, part.length);
  const auto pages_each = static_cast<std::size_t>((longest + page_size - 1) / page_size);
  std::vector<std::int32_t> pages;
  for (const auto& part : parts) {
    const auto used = std::min(part.pages.size(), pages_each);
    pages.insert(pages.end(), part.pages.begin(),
                 part.pages.begin() + static_cast<std::ptrdiff_t>(used));
    pages.insert(pages.end(), pages_each - used, part.pages.front());  // any valid page: masked
  }
  const int count = static_cast<int>(parts.size());
  PagedLayout::Group group{first_row, count, parts.front().rows,
                           slots_of_pages(pages, count, page_size, longest)};
  group.lengths = lengths_of(parts, longest);
  if (group.lengths) group.mask = mx::less(mx::arange(longest, mx::int32), *group.lengths);
  return group;
}

// Decode rows of any lengths: nothing is padded but page numbers.
PagedLayout::Group make_gpu_group(std::span<const ContextRows> parts, int first_row,
                                  int page_size) {
  std::vector<gpu::Context> contexts;
  for (const auto& part : parts) contexts.push_back({part.pages, part.length});
  auto made = gpu::make_contexts(contexts, page_size);
  PagedLayout::Group group{first_row, made.rows, 1, made.table};
  group.contexts = std::move(made);
  return group;
}

std::optional<gpu::Chunks> gpu_chunks(const std::vector<ContextRows>& parts, int page_size) {
  std::vector<gpu::ChunkRows> chunks;
  int row = 0;
  for (const auto& part : parts) {
    if (part.rows > 1) chunks.push_back({part.pages, part.length, part.rows, row});
    row += part.rows;
  }
  if (chunks.empty()) return {};
  return gpu::make_chunks(chunks, page_size);
}

std::size_t gpu_group_end(const std::vector<ContextRows>& parts, std::size_t begin) {
  std::size_t end = begin;
  while (end < parts.size() && parts[end].rows == 1) ++end;
  return end;
}

// A group pads every context to its longest. Contexts join while that at most doubles what is read (or it is little).
constexpr std::int64_t negligible_padding = 8192;  // tokens

std::size_t group_end(const std::vector<ContextRows>& parts, std::size_t begin) {
  std::size_t end = begin + 1;
  if (parts[begin].rows != 1) return end;
  std::int64_t longest = parts[begin].length, total = longest;
  for (; end < parts.size() && parts[end].rows == 1; ++end) {
    longest = std::max<std::int64_t>(longest, parts[end].length);
    total += parts[end].length;
    const auto padded = longest * static_cast<std::int64_t>(end + 1 - begin);
    if (padded > 2 * total + negligible_padding) break;
  }
  return end;
}

std::shared_ptr<const CpuLayout> make_cpu_layout(const std::vector<ContextRows>& parts,
                                                 int page_size, const CpuBackendPtr& backend) {
  auto layout = std::make_shared<CpuLayout>(CpuLayout{backend, page_size, {}, {}});
  std::vector<std::size_t> begins;
  for (const auto& part : parts) {
    begins.push_back(layout->pages.size());
    layout->pages.insert(layout->pages.end(), part.pages.begin(), part.pages.end());
  }
  int row = 0;
  for (std::size_t i = 0; i < parts.size(); row += parts[i++].rows)
    layout->parts.push_back(
        {layout->pages.data() + begins[i], parts[i].length, parts[i].rows, row});
  return layout;
}

}  // namespace

PagedLayout make_layout(const std::vector<ContextRows>& parts, int page_size,
                        const CpuBackendPtr& backend, bool for_gpu_kernels) {
  std::vector<std::int32_t> write_slots;
  for (const auto& part : parts)
    for (int i = part.length - part.rows; i < part.length; ++i)
      write_slots.push_back(part.pages[static_cast<std::size_t>(i / page_size)] * page_size +
                            i % page_size);

  PagedLayout layout{int_array(write_slots, {static_cast<int>(write_slots.size())}), {}};
  if (backend) {
    layout.cpu = make_cpu_layout(parts, page_size, backend);
    return layout;
  }
  const bool gpu = for_gpu_kernels && gpu::executor();
  if (gpu) {
    const auto padded = gpu::padded(std::move(write_slots));
    layout.padded_write_slots = int_array(padded, {static_cast<int>(padded.size())});
    layout.chunks = gpu_chunks(parts, page_size);
  }
  int row = 0;
  for (std::size_t begin = 0; begin < parts.size();) {
    const bool decodes = gpu && parts[begin].rows == 1;
    const std::size_t end = decodes ? gpu_group_end(parts, begin) : group_end(parts, begin);
    const auto group = std::span(parts).subspan(begin, end - begin);
    layout.groups.push_back(decodes ? make_gpu_group(group, row, page_size)
                                    : make_group(group, row, page_size));
    for (; begin < end; ++begin) row += parts[begin].rows;
  }
  return layout;
}

}  // namespace pippin::kernels
