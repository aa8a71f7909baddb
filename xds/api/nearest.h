// "Did you mean …?" for the errors about names that somebody typed: fields, enums, kinds, services.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace pillion::xds {

// The candidate that a mistyped name most likely means; none where none is near. Case and underscores do not count.
std::optional<std::string_view> nearest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace pillion::xds
