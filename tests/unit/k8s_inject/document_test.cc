#include "k8s/inject/document.h"

#include <doctest/doctest.h>

namespace pillion::k8s {
namespace {

std::string error_of(std::string_view yaml) {
  const auto documents = load_documents(yaml, "f.yaml");
  return documents ? "" : documents.error().to_string();
}

std::string rewritten(std::string_view yaml) {
  const auto documents = load_documents(yaml, "f.yaml");
  return documents ? write_documents(*documents) : documents.error().to_string();
}

TEST_CASE("inject document: what cannot be honoured is refused with its line") {
  struct Case {
    const char* yaml;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"a: [\n", "f.yaml:2: is not YAML"},
      {"a: 1\n\tb: 2\n", "f.yaml:2: is not YAML"},
      {"a: 1\nb: 2\na: 3\n", "f.yaml:3: the key \"a\" is there twice, first in line 1"},
      {"a: 1\n\"a\": 3\n", "f.yaml:2: the key \"a\" is there twice, first in line 1"},
      {"x: &x {a: 1}\ny:\n  <<: *x\n", "f.yaml:3: merge keys (<<) are not supported"},
      {"? [a]\n: 1\n", "f.yaml:1: a key has to be plain text"},
      {"a: *nowhere\n", "f.yaml:1: is not YAML"},
      {"a: &a [*a]\n", "f.yaml:1: the alias refers to what it is part of"},
      {"{a: 1}\n}\n", "f.yaml:2: is not YAML"},
      {"{a: 1}\nb: 1\n", "f.yaml:2: text follows the end of the document"},
      {"[1], }", "f.yaml:1: "},
      {"]", "f.yaml:1: "},
      {"a: [{b: 1}], c: 2}\n", "f.yaml:1: "},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.yaml);
    const std::string error = error_of(c.yaml);
    CAPTURE(error);
    CHECK(error.starts_with(c.want));
  }
}

TEST_CASE("inject document: aliases that would grow without bound are refused") {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) yaml += (j == 0 ? "" : ", ") + before;
    yaml += "]\n";
  }
  CHECK(error_of(yaml).contains("has more than 1000000 nodes"));
  CHECK(error_of(std::string(kMaxYamlBytes + 1, ' ')).contains("is longer than"));
  CHECK(error_of(std::string(3000, '[')).starts_with("f.yaml:1: "));
  CHECK(error_of(std::string(150, '[') + std::string(150, ']')) == "f.yaml:1: is nested deeper than 100");
  CHECK(error_of("a: &a " + std::string(60, '[') + std::string(60, ']') + "\nb: " + std::string(60, '[') + "*a" +
                 std::string(60, ']')) == "f.yaml:2: is nested deeper than 100");
}

TEST_CASE("inject document: strings stay strings and the rest keeps its type") {
  struct Case {
    const char* yaml;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"a: \"true\"", "a: \"true\"\n"},
      {"a: true", "a: true\n"},
      {"a: ~", "a: null\n"},
      {"a:", "a: null\n"},
      {"a: ''", "a: \"\"\n"},
      {"a: 0x1F", "a: 0x1F\n"},
      {"a: {b: [], c: {}}", "a:\n  b: []\n  c: {}\n"},
      {"a: [1, [2, 3], {b: 4, c: [5]}]", "a:\n- 1\n- - 2\n  - 3\n- b: 4\n  c:\n  - 5\n"},
      {"a: one\n  two\n\n  three", "a: |-\n  one two\n  three\n"},
      {"a: |+\n  x\n\n", "a: \"x\\n\\n\"\n"},
      {"a: |\n  x\n   y\n\n  z\n", "a: |\n  x\n   y\n\n  z\n"},
      {"- |-\n  x\n  y", "- |-\n  x\n  y\n"},
      {"- - |\n    x\n    y\n", "- - |\n    x\n    y\n"},
      {"a: !!binary aGk=", "a: !<tag:yaml.org,2002:binary> \"aGk=\"\n"},
      {"a: !mine {b: 1}", "a: !<!mine>\n  b: 1\n"},
      {"- !mine {b: 1}", "- !<!mine>\n  b: 1\n"},
      {"\"on\": 1", "\"on\": 1\n"},
      {"{\"a/b.c\": \"d\"}", "a/b.c: \"d\"\n"},
      {"a: 1\n---\n---\nb: 2\n", "a: 1\n---\nb: 2\n"},
      {"\xef\xbb\xbf%YAML 1.2\r\n---\r\na: 1\r\n---\r\nb: 2\r\n", "a: 1\n---\nb: 2\n"},
      {"a: 1\n...\nb: 2\n", "a: 1\n---\nb: 2\n"},
      {"a: &x {b: 1}\nc: *x", "a:\n  b: 1\nc:\n  b: 1\n"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.yaml);
    const std::string out = rewritten(c.yaml);
    CHECK(out == c.want);
    CHECK(rewritten(out) == out);
    const auto before = load_documents(c.yaml, "");
    const auto after = load_documents(out, "");
    REQUIRE(before);
    REQUIRE(after);
    CHECK(same_value(before->front(), after->front()));
  }
}

TEST_CASE("inject document: texts of ours are quoted where they would be something else") {
  struct Case {
    const char* text;
    bool plain;
  };
  static constexpr Case kCases[] = {
      {"pillion", true},     {"--proxy-uid", true},  {"-l", true},     {"/run/x", true}, {"$(POD_NAME).$(NS)", true},
      {"100m", true},        {"64Mi", true},         {"a,b", true},    {"1337", false},  {"-1", false},
      {"1e3", false},        {"0x10", false},        {"12:30", false}, {"true", false},  {"No", false},
      {"", false},           {"a: b", false},        {"a:", false},    {"*", false},     {"@x", false},
      {"2024-01-01", false}, {"-", false},           {"--", false},    {".5", false},    {"{}", false},
      {"a b", false},        {"15006,15001", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    const std::string out = write_documents({map_node({{"k", text_node(c.text)}})});
    CHECK(out == (c.plain ? std::string("k: ") + c.text + "\n" : std::string("k: \"") + c.text + "\"\n"));
    const auto back = load_documents(out, "");
    REQUIRE(back);
    CHECK(back->front().find("k")->scalar == c.text);
  }
}

TEST_CASE("inject document: every string comes back as it was") {
  const std::string strings[] = {
      "a\nb",   "a\nb\n",   "\na",      " a\nb",      "a\n  \nb", "a\n\n\nb\n", "a\n\n",        "a\tb\n\tc\n",
      "tab\t",  "\x01\x7f", "\"\\'",    "ü\u0085x",   "\u2028",   "\ufeffa",    "# no comment", "a #b\nc",
      "---\na", "a\n---\n", "a\n...\n", "- a\n- b\n", "| a\nb",   "\r\n",       "a\nb  \nc",    "a\n ",
  };
  for (const std::string& text : strings) {
    CAPTURE(text);
    const auto back = load_documents(write_documents({map_node({{"k", list_node({text_node(text)})}})}), "");
    REQUIRE(back);
    CHECK(back->front().find("k")->items[0].scalar == text);
  }
}

TEST_CASE("inject document: a value that changed is seen") {
  const auto first = [](const char* yaml) { return load_documents(yaml, "")->front(); };
  CHECK_FALSE(same_value(first("a: \"true\""), first("a: true")));
  CHECK_FALSE(same_value(first("a: 1"), first("a: 2")));
  CHECK_FALSE(same_value(first("a: 1"), first("b: 1")));
  CHECK_FALSE(same_value(first("a: []"), first("a: {}")));
  CHECK_FALSE(same_value(first("a: [1]"), first("a: [1, 2]")));
  CHECK(same_value(first("a: \"x\""), first("a: x")));
}

TEST_CASE("inject document: JSON has the types of YAML's core schema") {
  const auto documents =
      load_documents("{a: 1, b: \"1\", c: true, d: ~, e: [x, 1.5, 010, .5, -3], f: {}, \"g\\\"\": \"\\n\\\\\"}", "");
  REQUIRE(documents);
  CHECK(to_json(documents->front()) ==
        R"({"a":1,"b":"1","c":true,"d":null,"e":["x",1.5,"010",".5",-3],"f":{},"g\"":"\u000a\\"})");
}

}  // namespace
}  // namespace pillion::k8s
