#include "proxy/admin/stats_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "proxy/admin/json.h"

namespace pillion::admin {
namespace {

constexpr double kQuantiles[] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100};

// The bounds that dashboards know.
constexpr double kBounds[] = {0.5,  1,    5,     10,    25,    50,     100,    250,     500,    1000,
                              2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};

// A bucket holds the integers [lower, upper]; as a line for interpolation it spans [lower, lower of the next).
double lower_of(uint32_t bucket) {
  return static_cast<double>(Histogram::lower_bound(bucket));
}
double upper_of(uint32_t bucket) {
  return bucket + 1 < Histogram::kBuckets ? static_cast<double>(Histogram::lower_bound(bucket + 1))
                                          : 2 * lower_of(bucket);
}

std::string quantiles_as_text(const StatValue& histogram) {
  if (histogram.value == 0) return "No recorded values";
  std::string out;
  for (const double q : kQuantiles) {
    out += fmt::format("{}P{}(nan,{:.6g})", out.empty() ? "" : " ", q, quantile(histogram, q));
  }
  return out;
}

}  // namespace

double quantile(const StatValue& histogram, double percent) {
  const double wanted = percent / 100 * static_cast<double>(histogram.value);
  double below = 0;
  double last = 0;
  for (uint32_t b = 0; b < histogram.buckets.size(); ++b) {
    const auto here = static_cast<double>(histogram.buckets[b]);
    if (here == 0) continue;
    if (below + here >= wanted) {
      // A bucket of one integer is that integer.
      const double width = upper_of(b) - lower_of(b);
      return width <= 1 ? lower_of(b) : lower_of(b) + (wanted - below) / here * width;
    }
    below += here;
    last = upper_of(b);
  }
  return last;
}

uint64_t count_up_to(const StatValue& histogram, double bound) {
  double count = 0;
  for (uint32_t b = 0; b < histogram.buckets.size(); ++b) {
    const auto here = static_cast<double>(histogram.buckets[b]);
    if (here == 0 || bound < lower_of(b)) continue;
    const double last = upper_of(b) - 1;  // the largest integer in the bucket
    const double width = upper_of(b) - lower_of(b);
    const bool is_open = b + 1 == Histogram::kBuckets;  // it has no end, so no bound covers it
    if (is_open) continue;
    count += bound >= last ? here : here * (bound - lower_of(b) + 1) / width;
  }
  return static_cast<uint64_t>(count);
}

std::string stats_as_text(std::span<const StatValue> stats) {
  std::string out;
  for (const StatValue& s : stats) {
    if (s.kind != StatKind::histogram) out += fmt::format("{}: {}\n", s.name->full, s.value);
  }
  for (const StatValue& s : stats) {
    if (s.kind == StatKind::histogram) out += fmt::format("{}: {}\n", s.name->full, quantiles_as_text(s));
  }
  return out;
}

std::string stats_as_json(std::span<const StatValue> stats) {
  JsonWriter json(JsonWriter::Style::one_line);
  json.begin_object().key("stats").begin_array();
  bool has_histograms = false;
  for (const StatValue& s : stats) {
    has_histograms = has_histograms || s.kind == StatKind::histogram;
    if (s.kind == StatKind::histogram) continue;
    json.begin_object().field("name", s.name->full).field("value", s.value).end_object();
  }
  if (has_histograms) {
    json.begin_object().key("histograms").begin_object().key("supported_quantiles").begin_array();
    for (const double q : kQuantiles) json.raw(fmt::format("{}", q));
    json.end_array().key("computed_quantiles").begin_array();
    for (const StatValue& s : stats) {
      if (s.kind != StatKind::histogram) continue;
      json.begin_object().field("name", s.name->full).key("values").begin_array();
      for (const double q : kQuantiles) {
        const std::string value = s.value == 0 ? "null" : fmt::format("{:.6g}", quantile(s, q));
        json.begin_object().key("cumulative").raw(value).key("interval").null().end_object();
      }
      json.end_array().end_object();
    }
    json.end_array().end_object().end_object();
  }
  json.end_array().end_object();
  return json.take();
}

// === Prometheus ===

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string metric_name(std::string_view base) {
  std::string out = "envoy_";
  for (const char c : base) {
    const bool keep = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    out += keep ? c : '_';
  }
  return out;
}

void add_label(std::string& labels, std::string_view name, std::string_view value) {
  if (!labels.empty()) labels += ',';
  labels += name;
  labels += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') labels += '\\';
    if (c == '\n') {
      labels += "\\n";
    } else {
      labels += c;
    }
  }
  labels += '"';
}

struct Metric {
  std::string name;
  std::string labels;  // without braces
};

// "…_rq_2xx" and "…_rq_200" carry a label in their name.
Metric metric_of(const StatName& stat) {
  Metric metric;
  std::string_view base = stat.base;
  const size_t at = base.rfind("rq_");
  const std::string_view rest = at == std::string_view::npos ? "" : base.substr(at + 3);
  if (rest.size() == 3 && is_digit(rest[0])) {
    if (rest.substr(1) == "xx") {
      add_label(metric.labels, "envoy_response_code_class", rest.substr(0, 1));
      metric.name = metric_name(base.substr(0, at)) + "rq_xx";
    } else if (is_digit(rest[1]) && is_digit(rest[2])) {
      add_label(metric.labels, "envoy_response_code", rest);
      metric.name = metric_name(base.substr(0, at)) + "rq";
    }
  }
  if (metric.name.empty()) metric.name = metric_name(base);
  for (const auto& [name, value] : stat.labels) add_label(metric.labels, name, value);
  return metric;
}

std::string in_braces(const std::string& labels) {
  return labels.empty() ? "" : "{" + labels + "}";
}

void write_histogram(std::string& out, const Metric& metric, const StatValue& stat) {
  const std::string before = metric.labels.empty() ? "" : metric.labels + ",";
  auto line = [&](std::string_view le, uint64_t count) {
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{}le=\"{}\"}} {}\n", metric.name, before, le, count);
  };
  for (const double bound : kBounds) line(fmt::format("{}", bound), std::min(count_up_to(stat, bound), stat.value));
  line("+Inf", stat.value);
  fmt::format_to(std::back_inserter(out), "{}_sum{} {}\n{}_count{} {}\n", metric.name, in_braces(metric.labels),
                 stat.sum, metric.name, in_braces(metric.labels), stat.value);
}

const char* type_of(StatKind kind) {
  switch (kind) {
    case StatKind::counter: return "counter";
    case StatKind::gauge: return "gauge";
    case StatKind::histogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

std::string stats_as_prometheus(std::span<const StatValue> stats) {
  // All lines of a metric must stand together under one type, whatever the order of the full names is.
  std::map<std::string, std::vector<std::pair<Metric, const StatValue*>>> groups;
  for (const StatValue& s : stats) {
    Metric metric = metric_of(*s.name);
    auto& group = groups[metric.name];
    if (!group.empty() && group.front().second->kind != s.kind) continue;
    group.emplace_back(std::move(metric), &s);
  }
  std::string out;
  for (const auto& [name, group] : groups) {
    const StatKind kind = group.front().second->kind;
    fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", name, type_of(kind));
    for (const auto& [metric, stat] : group) {
      if (kind == StatKind::histogram) {
        write_histogram(out, metric, *stat);
      } else {
        fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, in_braces(metric.labels), stat->value);
      }
    }
  }
  return out;
}

}  // namespace pillion::admin
