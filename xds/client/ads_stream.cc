#include "xds/client/ads_stream.h"

#include <fmt/format.h>

namespace pillion::xds::client {

std::string describe(const std::vector<ResourceError>& errors, size_t received) {
  std::string text = fmt::format("{} of {} resources rejected: ", errors.size(), received);
  for (size_t i = 0; i < errors.size(); ++i) {
    if (i > 0) text += "; ";
    text += errors[i].name + ": " + errors[i].reason;
    if (text.size() > kErrorDetailBytesMax) break;
  }
  if (text.size() > kErrorDetailBytesMax) {
    text.resize(kErrorDetailBytesMax - 4);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.pop_back();  // the text stays UTF-8
    text += " ...";
  }
  return text;
}

}  // namespace pillion::xds::client
