#include "text/template_fault.h"

#include <gtest/gtest.h>

#include <string>

#include "text/messages.h"

namespace pippin::text {
namespace {

constexpr const char* alternating =
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}";

std::vector<Message> messages_of(const std::string& roles) {
  std::vector<Message> messages;
  for (const char role : roles)
    messages.push_back({role == 'u' ? "user" : role == 'a' ? "assistant" : "system", {{"x"}}, ""});
  return messages;
}

// What the template says against the messages, and whom it blames.
std::optional<std::size_t> blamed(const std::string& source, const std::string& roles) {
  const auto chat_template = ChatTemplate::parse(source);
  const auto messages = messages_of(roles);
  ChatInput input;
  input.messages_json = messages_json(messages);
  try {
    chat_template.render(input);
  } catch (const Error& fault) {
    return message_at_fault(chat_template, messages, input, fault);
  }
  ADD_FAILURE() << "the template takes " << roles;
  return {};
}

TEST(MessageAtFault, IsTheOneThatTheTemplateRaisesAt) {
  EXPECT_EQ(blamed(alternating, "a"), 0u);
  EXPECT_EQ(blamed(alternating, "uu"), 1u);
  EXPECT_EQ(blamed(alternating, "uauaauu"), 4u);
  std::string roles;
  for (int i = 0; i < 40; ++i) roles += "ua";
  EXPECT_EQ(blamed(alternating, roles + "a"), 80u);
}

TEST(MessageAtFault, IsTheOneThatLacksWhatTheTemplateReads) {
  constexpr const char* reads =
      "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.thought.text }}{% endif %}{% "
      "endfor %}";
  EXPECT_EQ(blamed(reads, "uuau"), 2u);
}

TEST(MessageAtFault, IsTheLastWhereThatIsWanted) {
  constexpr const char* last =
      "{% if messages and messages[-1].role != 'user' %}{{ raise_exception('the user speaks last') "
      "}}{% endif %}";
  EXPECT_EQ(blamed(last, "uua"), 2u);
}

TEST(MessageAtFault, IsNoneWhereTheTemplateFailsByItself) {
  EXPECT_EQ(blamed("{{ raise_exception('never') }}", "uau"), std::nullopt);
}

TEST(MessageAtFault, IsNoneOfAFaultThatIsNotTheTemplates) {
  const auto chat_template = ChatTemplate::parse(alternating);
  EXPECT_EQ(message_at_fault(chat_template, messages_of("uu"), {}, Error(Code::internal, "a bug")),
            std::nullopt);
  EXPECT_EQ(message_at_fault(chat_template, messages_of("uu"), {},
                             Error(Code::invalid_argument, "said of something else")),
            std::nullopt);
}

}  // namespace
}  // namespace pippin::text
