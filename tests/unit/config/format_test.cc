#include "proxy/config/format.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <string>

using namespace pillion::config;
using Kind = FormatOp::Kind;

namespace {

Format compiled(std::string_view text) {
  auto format = Format::compile(text);
  REQUIRE_MESSAGE(format.has_value(), format.error());
  return *format;
}

// Headers by name, everything else by kind.
struct Values final : FormatSource {
  std::map<std::string, std::string> headers;
  std::map<Kind, std::string> others;
  bool append(const FormatOp& op, std::string& out) const override {
    if (op.kind == Kind::req || op.kind == Kind::resp || op.kind == Kind::trailer) {
      for (const std::string& name : {op.text, op.alternative}) {
        if (const auto it = headers.find(name); it != headers.end()) {
          out += it->second;
          return true;
        }
      }
      return false;
    }
    const auto it = others.find(op.kind);
    if (it == others.end()) return false;
    out += it->second;
    return true;
  }
};

std::string text_of(std::string_view format, const Values& values, std::string_view missing = "-") {
  std::string out;
  render(compiled(format), values, missing, out);
  return out;
}

JsonFormat::Field leaf(std::string key, std::string_view format) {
  JsonFormat::Field field;
  field.key = std::move(key);
  field.value = compiled(format);
  return field;
}

JsonFormat::Field constant(std::string key, std::string value) {
  JsonFormat::Field field;
  field.key = std::move(key);
  field.raw = std::move(value);
  return field;
}

JsonFormat::Field children(std::string key, std::vector<JsonFormat::Field> fields, bool is_list = false) {
  JsonFormat::Field field;
  field.key = std::move(key);
  field.children = std::move(fields);
  field.is_list = is_list;
  return field;
}

std::string json_of(std::vector<JsonFormat::Field> fields, const Values& values, bool omit_empty = false) {
  std::string out;
  render_json({std::move(fields)}, values, omit_empty, out);
  return out;
}

}  // namespace

TEST_CASE("format: literals, escapes, names with alternatives, lengths") {
  Values values;
  values.headers = {{"x-in", "value"}, {":path", "/p"}};
  values.others = {{Kind::response_code, "200"}, {Kind::upstream_cluster, "a"}};
  struct Case {
    const char *format, *want;
  };
  static constexpr Case kCases[] = {
      {"", ""},
      {"plain", "plain"},
      {"100%%", "100%"},
      {"%%%RESPONSE_CODE%%%", "%200%"},
      {"<%REQ(X-In)%>", "<value>"},
      {"%REQ(x-none?X-IN)%", "value"},
      {"%REQ(x-in?x-none)%", "value"},
      {"%REQ(X-IN?)%", "value"},
      {"%REQ(?X-IN)%", "value"},
      {"%REQ(x-in):3%", "val"},
      {"%REQ(x-in):99%", "value"},
      {"%REQ(x-in):0%", ""},
      {"%REQ(x-none):3%", "-"},
      {"%REQ(:PATH)%", "/p"},
      {"%RESP(x-in)%|%TRAILER(x-in)%", "value|value"},
      {"%UPSTREAM_CLUSTER%%UPSTREAM_CLUSTER_RAW%", "aa"},
      {"%DURATION% %RESPONSE_CODE%", "- 200"},
      {"%NO_SUCH_THING(x y):3% %RESPONSE_CODE%", "- 200"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.format);
    CHECK(text_of(c.format, values) == c.want);
  }
  CHECK(text_of("<%REQ(x-none)%>", values, "") == "<>");
}

TEST_CASE("format: arguments are kept for those who have the values") {
  const Format time = compiled("%START_TIME(%Y-%m %3f)%%START_TIME%%START_TIME()%");
  REQUIRE(time.ops.size() == 3);
  CHECK(time.ops[0].kind == Kind::start_time);
  CHECK(time.ops[0].text == "%Y-%m %3f");
  CHECK(time.ops[1].text.empty());
  CHECK(compiled("%GRPC_STATUS%").ops[0].text == "CAMEL_STRING");
  CHECK(compiled("%GRPC_STATUS(SNAKE_STRING)%").ops[0].text == "SNAKE_STRING");
  CHECK(compiled("%GRPC_STATUS_NUMBER%").ops[0].text == "NUMBER");
  CHECK(compiled("%DYNAMIC_METADATA(ns:key):5%").ops[0].text == "ns:key");
  CHECK(compiled("%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%").ops[0].text == "DS_RX_BEG:DS_TX_END:ms");
}

TEST_CASE("format: the environment is read when it is compiled") {
  ::setenv("PILLION_FORMAT_TEST", "from outside", 1);
  const Format format = compiled("%ENVIRONMENT(PILLION_FORMAT_TEST):4%|%ENVIRONMENT(PILLION_FORMAT_NONE)%");
  ::unsetenv("PILLION_FORMAT_TEST");
  std::string out;
  render(format, Values{}, "", out);
  CHECK(out == "from|-");
}

TEST_CASE("format: unknown operators are collected once, malformed text is an error with its place") {
  CHECK(compiled("%FOO% %BAR(1)% %FOO%").unknown_operators == std::vector<std::string>{"FOO", "BAR"});
  CHECK(compiled("%REQ(a)% %PROTOCOL%").unknown_operators.empty());
  static constexpr const char* kBad[] = {"%",
                                         "a%",
                                         "%%%",
                                         "%REQ",
                                         "%REQ(a%",
                                         "%REQ%",
                                         "%REQ()%",
                                         "%REQ(?)%",
                                         "%REQ(a):%",
                                         "%REQ(a):x%",
                                         "%REQ(a):99999999999999999999999%",
                                         "%req(a)%",
                                         "%PROTOCOL(x)%",
                                         "%PROTOCOL:3%",
                                         "%START_TIME(%Y):3%",
                                         "%GRPC_STATUS(WORDS)%",
                                         "%ENVIRONMENT%",
                                         "50% of it",
                                         "%PROTOCOL %"};
  for (const char* bad : kBad) {
    CAPTURE(bad);
    const auto format = Format::compile(bad);
    REQUIRE_FALSE(format.has_value());
    CHECK_FALSE(format.error().empty());
  }
  CHECK(Format::compile("abc%").error().find("position 3") != std::string::npos);
}

TEST_CASE("format: the default line and that of Istio have no unknown operator") {
  CHECK(compiled(default_access_log_format()).unknown_operators.empty());
  CHECK(default_access_log_format().ends_with("\"\n"));
  CHECK(compiled("[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
                 "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
                 "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
                 "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
                 "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
                 "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
                 "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n")
            .unknown_operators.empty());
}

// The values were printed by Envoy 1.40.
TEST_CASE("format: times in the ways of the access log") {
  static constexpr int64_t kAt = 1'795'538'373'763'872;
  struct Case {
    const char *format, *want;
  };
  static constexpr Case kCases[] = {
      {"", "2026-11-24T16:39:33.763Z"},
      {"%s", "1795538373"},
      {"%f", "763872000"},
      {"%3f", "763"},
      {"%s.%3f", "1795538373.763"},
      {"%Y/%m/%dT%H:%M:%S%z %3f %6f %s %E3S %a %b", "2026/11/24T16:39:33+0000 763 763872 1795538373 33.763 Tue Nov"},
      {"100%%", "100%"},
      {"no conversion", "no conversion"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.format);
    std::string out;
    format_time(kAt, c.format, out);
    CHECK(out == c.want);
  }
  std::string out;
  format_time(0, "%", out);
  format_time(-1, "|%s %6f", out);
  CHECK(out == "%|-1 999999");
}

TEST_CASE("format: JSON keeps numbers, null, constants and nesting") {
  Values values;
  values.headers = {{":method", "GET"}, {"x-n", "12"}};
  values.others = {{Kind::response_code, "200"}, {Kind::response_flags, "-"}, {Kind::duration, "-"}};
  CHECK(
      json_of({leaf("method", "%REQ(:METHOD)%"), leaf("code", "%RESPONSE_CODE%"),
               leaf("both", "%REQ(:METHOD)% %RESPONSE_CODE%"), leaf("flags", "%RESPONSE_FLAGS%"),
               leaf("missing", "%REQ(X-NONE)%"), leaf("header", "%REQ(X-N)%"), leaf("text", "text"), leaf("empty", ""),
               leaf("two", "%REQ(X-NONE)%%RESPONSE_CODE%"), leaf("odd", "%DURATION%"), leaf("unknown", "%FOO%"),
               children("nested", {leaf("code", "%RESPONSE_CODE%"), children("none", {})}), constant("number", "7"),
               constant("null", "null"),
               children("list",
                        {constant("", "1"), leaf("", "%RESPONSE_CODE%"), constant("", "true"),
                         children("", {leaf("a", "%REQ(X-NONE)%")}), children("", {}, true)},
                        true),
               leaf("k\"ey", "x")},
              values) ==
      R"({"method":"GET","code":200,"both":"GET 200","flags":"-","missing":null,"header":"12","text":"text","empty":"",)"
      R"("two":"-200","odd":"-","unknown":null,"nested":{"code":200,"none":{}},"number":7,"null":null,)"
      R"("list":[1,200,true,{"a":null},[]],"k\"ey":"x"})"
      "\n");
}

TEST_CASE("format: JSON without empty values") {
  Values values;
  values.others = {{Kind::response_code, "200"}};
  CHECK(json_of({leaf("a", "%REQ(X-NONE)%"), leaf("b", "<%REQ(X-NONE)%>"), children("c", {leaf("d", "%REQ(X-NONE)%")}),
                 children("e", {leaf("", "%REQ(X-NONE)%"), leaf("", "x")}, true), constant("f", "null"),
                 children("g", {}), leaf("h", ""), leaf("z", "%RESPONSE_CODE%")},
                values, true) == "{\"b\":\"<>\",\"e\":[\"x\"],\"h\":\"\",\"z\":200}\n");
  CHECK(json_of({leaf("a", "%REQ(X-NONE)%")}, values, true) == "{}\n");
}

TEST_CASE("format: JSON strings are JSON whatever the bytes are") {
  struct Case {
    std::string value, want;
  };
  const Case cases[] = {
      {"quote \" back \\", R"("quote \" back \\")"},
      {"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
      {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
      {"caf\xe9", R"("caf\u00e9")"},
      {"\" \\ \xe9", R"("\u0022 \u005c \u00e9")"},
      {"\xc3", R"("\u00c3")"},
      {"\xc0\xaf", R"("\u00c0\u00af")"},
      {"\xed\xa0\x80", R"("\u00ed\u00a0\u0080")"},
      {"\xf4\x90\x80\x80", R"("\u00f4\u0090\u0080\u0080")"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.want);
    Values values;
    values.headers = {{"x", c.value}};
    CHECK(json_of({leaf("v", "%REQ(x)%")}, values) == "{\"v\":" + c.want + "}\n");
  }
}
