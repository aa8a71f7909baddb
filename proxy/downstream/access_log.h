// Lines of access logs: which exchanges are logged, and how they read.
#pragma once

#include <string>

#include "proxy/config/listener.h"
#include "proxy/filter/record.h"

namespace pillion::downstream {

bool is_logged(const config::AccessLog& log, const filter::ExchangeRecord& record);
// The line with its newline.
std::string access_log_line(const config::AccessLog& log, const config::FormatSource& values);

}  // namespace pillion::downstream
