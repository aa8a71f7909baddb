#include "filters/http/header_mutation.h"

#include <algorithm>
#include <array>

#include "proxy/http/fields.h"
#include "proxy/http/validate.h"

namespace pillion::filters {
namespace {

using Action = config::HeaderToAdd::Action;

void add(const config::HeaderToAdd& entry, const config::FormatSource& values, http::HeaderMap& headers) {
  if (!http::may_change_field(entry.name)) return;
  const bool is_there = headers.find(entry.name) != nullptr;
  if (entry.action == Action::add_if_absent && is_there) return;
  if (entry.action == Action::overwrite_if_exists && !is_there) return;
  std::string rendered;
  config::render(entry.value, values, "", rendered);
  const std::string_view value = http::trim_ows(rendered);
  if ((value.empty() && !entry.keep_empty_value) || !http::is_field_value(value)) return;
  const std::string_view name = headers.arena().copy(entry.name);
  const std::string_view kept = headers.arena().copy(value);
  if (entry.action == Action::overwrite_if_exists || entry.action == Action::overwrite_if_exists_or_add) {
    headers.set(name, kept);
  } else {
    http::append_field(name, kept, headers);
  }
}

void apply(const std::vector<FieldChange>& changes, const config::FormatSource& values, http::HeaderMap& headers) {
  for (const FieldChange& change : changes) {
    if (const auto* addition = std::get_if<config::HeaderToAdd>(&change)) {
      add(*addition, values, headers);
    } else {
      http::remove_field(std::get<FieldToRemove>(change).name, headers);
    }
  }
}

class HeaderMutationFilter final : public filter::Filter {
 public:
  HeaderMutationFilter(const HeaderMutationConfig& config, filter::FilterContext& context) : context_(context) {
    size_t count = 1;
    for (const config::FilterConfig* of_level : context.route_configs()) {
      const auto* own = dynamic_cast<const HeaderMutationConfig*>(of_level);
      if (own != nullptr) levels_[count++] = &own->changes();
    }
    levels_[0] = &config.changes();
    if (config.most_specific_last()) std::reverse(levels_.begin() + 1, levels_.begin() + static_cast<int>(count));
  }

  filter::Hooks hooks() const override {
    filter::Hooks out = 0;
    for (const FieldChanges* level : levels_) {
      if (level == nullptr) continue;
      if (!level->request.empty()) out |= filter::Hook::request_head;
      if (!level->response.empty()) out |= filter::Hook::response_head;
    }
    return out;
  }
  filter::Verdict on_request_head(http::RequestHead& head, bool) override {
    for (const FieldChanges* level : levels_) {
      if (level != nullptr) apply(level->request, context_.values(), head.headers);
    }
    return {};
  }
  filter::Verdict on_response_head(http::ResponseHead& head, bool) override {
    for (const FieldChanges* level : levels_) {
      if (level != nullptr) apply(level->response, context_.values(), head.headers);
    }
    return {};
  }

 private:
  filter::FilterContext& context_;
  std::array<const FieldChanges*, 5> levels_{};  // in the order in which they are applied; null behind the last
};

}  // namespace

std::unique_ptr<filter::Filter> HeaderMutationConfig::make(filter::FilterContext& context) const {
  return std::make_unique<HeaderMutationFilter>(*this, context);
}

}  // namespace pillion::filters
