// The vectors of tests/conformance/vectors, cut at every offset and octet by octet: what a codec makes of a message
// does not depend on how it arrives. What must become of each is checked from the outside, by
// tests/conformance/vectors.py.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

struct Vector {
  std::string name;
  std::string bytes;
  std::string expected;  // all lines
  bool expects(std::string_view words) const { return expected.find(words) != std::string::npos; }
};

// As tests/conformance/vectors/README tells.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') {
      const size_t star = text.find('*', i);
      const size_t close = text.find('}', i);
      if (star < close && close != std::string_view::npos) {
        const std::string unit = unescape(text.substr(star + 1, close - star - 1));
        for (int n = std::atoi(std::string(text.substr(i + 1, star - i - 1)).c_str()); n > 0; --n) out += unit;
        i = close;
        continue;
      }
    }
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r': out += '\r'; break;
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case '0': out += '\0'; break;
      case 'x':
        out += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
        i += 2;
        break;
      default: out += text[i];
    }
  }
  return out;
}

bool is_open_ended(std::string_view line) {
  size_t n = 0;
  while (n < line.size() && line[line.size() - 1 - n] == '\\') ++n;
  return n % 2 == 1;
}

// tests/, which is found from the top of the source without being told.
std::filesystem::path root() {
  const char* source = std::getenv("PILLION_SOURCE_DIR");
  return std::filesystem::path(source != nullptr ? source : ".") / "tests";
}

std::vector<Vector> load(const char* file) {
  std::ifstream in(root() / "conformance/vectors" / file);
  std::vector<Vector> found;
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("== ")) {
      found.push_back({line.substr(3), "", ""});
    } else if (line.starts_with("> ")) {
      found.back().expected += line + "\n";
    } else if (!found.empty() && found.back().expected.empty()) {
      const bool open = is_open_ended(line);
      found.back().bytes +=
          unescape(open ? std::string_view(line).substr(0, line.size() - 1) : line) + (open ? "" : "\r\n");
    }
  }
  return found;
}

// Answers what is complete or refused, and goes on with what was left over.
std::string serve(std::string_view bytes, size_t first, size_t rest) {
  ChunkPool pool;
  ServerUsers users;
  Chain in;
  std::string output, errors;
  const auto codec = make_h1_server(pool, users, {});
  while (!bytes.empty()) {
    const size_t n = std::min(first, bytes.size());
    in.append(pool, bytes.substr(0, n));
    bytes.remove_prefix(n);
    first = rest;
    for (bool again = true; again;) {
      const size_t before = in.size();
      if (const Expected<void> fed = codec->feed(in); !fed) errors += text(fed.error()) + "\n";
      again = false;
      ServerUser* const user = users.users.empty() ? nullptr : users.users.back().get();
      if (user != nullptr && user->stream != nullptr && (user->log.ended || user->log.reset)) {
        ResponseHead head(user->arena());
        head.status = user->log.reset ? 400 : 200;
        head.content_length = 0;
        user->stream->send_head(head, true);
        user->detach();
        again = true;
      }
      output += take_output(*codec);
      again = again && (!in.empty() || in.size() != before);
    }
  }
  for (auto& user : users.users) {
    if (user->stream != nullptr) user->detach();
  }
  return users.log() + errors + output + (codec->is_finished() ? "finished" : "open");
}

std::string ask(const Vector& v, size_t first, size_t rest) {
  ChunkPool pool;
  const auto codec = make_h1_client(pool, {});
  ClientUser user;
  user.stream = &codec->start(user);
  RequestHead head(user.arena());
  head.method = v.expects("request HEAD") ? "HEAD" : "GET";
  head.authority = "a";
  head.path = "/";
  if (v.expects("Upgrade: websocket")) head.upgrade = "websocket";
  user.stream->send_head(head, head.upgrade.empty());
  take_output(*codec);
  std::string errors;
  for (std::string_view bytes = v.bytes; !bytes.empty(); first = rest) {
    const size_t n = std::min(first, bytes.size());
    Chain in = chain(pool, bytes.substr(0, n));
    if (const Expected<void> fed = codec->feed(in); !fed) errors += text(fed.error()) + "\n";
    bytes.remove_prefix(n);
  }
  if (v.expects("then close")) codec->on_eof();
  const std::string log = user.log.take();
  user.stream->detach();
  return log + (codec->is_finished() ? "finished" : "reusable");
}

// The corpus of a fuzz target, less the first byte of each file, which tells the target how to act.
std::vector<Vector> load_corpus(const char* target) {
  std::vector<Vector> found;
  for (const auto& entry : std::filesystem::directory_iterator(root() / "corpus" / target)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    found.push_back({entry.path().filename(), bytes.substr(1), ""});
  }
  return found;
}

// Some errors are told by feed(), others only when the GOAWAY is written; in the end they are the same.
std::string feed_h2(Codec& codec, ChunkPool& pool, std::string_view bytes, size_t first, size_t rest) {
  for (; !bytes.empty(); first = rest) {
    const size_t n = std::min(first, bytes.size());
    Chain in = chain(pool, bytes.substr(0, n));
    (void)codec.feed(in);
    take_output(codec);
    bytes.remove_prefix(n);
  }
  return (codec.failure() != nullptr ? text(*codec.failure()) : "") + (codec.is_finished() ? " finished\n" : " open\n");
}

std::string serve_h2(std::string_view bytes, size_t first, size_t rest) {
  ChunkPool pool;
  ServerUsers users;
  const auto codec = make_h2_server(pool, users, {});
  feed_h2(*codec, pool, preface(), SIZE_MAX, SIZE_MAX);
  const std::string end = feed_h2(*codec, pool, bytes, first, rest);
  for (auto& user : users.users) user->detach();
  return end + users.log();
}

std::string ask_h2(std::string_view bytes, size_t first, size_t rest) {
  ChunkPool pool;
  const auto codec = make_h2_client(pool, {});
  feed_h2(*codec, pool, frame(kSettingsFrame, 0, 0, ""), SIZE_MAX, SIZE_MAX);
  ClientUser users[2];
  for (ClientUser& user : users) {
    user.stream = &codec->start(user);
    RequestHead head(user.arena());
    head.method = "GET";
    head.scheme = "http";
    head.authority = "a";
    head.path = "/";
    user.stream->send_head(head, true);
  }
  take_output(*codec);
  std::string end = feed_h2(*codec, pool, bytes, first, rest);
  for (ClientUser& user : users) {
    end += user.log.take();
    user.stream->detach();
  }
  return end;
}

// Cut in two at every offset (of large messages at some of them: what repeats is the same everywhere), then in octets.
template <typename Run>
size_t check_cuts(const Vector& v, Run&& run) {
  constexpr size_t kLarge = 3000;
  constexpr size_t kStride = 1009;
  CAPTURE(v.name);
  const std::string whole = run(v.bytes.size(), 1);
  size_t cuts = 1;
  for (size_t at = 1; at<v.bytes.size(); at += v.bytes.size()> kLarge && at > 200 ? kStride : 1, ++cuts) {
    CAPTURE(at);
    REQUIRE(run(at, v.bytes.size()) == whole);
  }
  CHECK(run(1, 1) == whole);
  return cuts;
}

}  // namespace

TEST_CASE("vectors: a request means the same however it is cut") {
  const std::vector<Vector> vectors = load("requests.txt");
  REQUIRE(vectors.size() > 200);
  size_t cuts = 0;
  for (const Vector& v : vectors) {
    cuts += check_cuts(v, [&](size_t first, size_t rest) { return serve(v.bytes, first, rest); });
  }
  MESSAGE(vectors.size(), " requests, ", cuts, " cuts");
}

TEST_CASE("vectors: a response means the same however it is cut") {
  const std::vector<Vector> vectors = load("responses.txt");
  REQUIRE(vectors.size() > 100);
  size_t cuts = 0;
  for (const Vector& v : vectors) {
    cuts += check_cuts(v, [&](size_t first, size_t rest) { return ask(v, first, rest); });
  }
  MESSAGE(vectors.size(), " responses, ", cuts, " cuts");
}

TEST_CASE("vectors: the frames of the corpora mean the same however they are cut") {
  for (const Vector& v : load_corpus("h2_server")) {
    check_cuts(v, [&](size_t first, size_t rest) { return serve_h2(v.bytes, first, rest); });
  }
  for (const Vector& v : load_corpus("h2_client")) {
    check_cuts(v, [&](size_t first, size_t rest) { return ask_h2(v.bytes, first, rest); });
  }
  for (const Vector& v : load_corpus("h1_request")) {
    check_cuts(v, [&](size_t first, size_t rest) { return serve(v.bytes, first, rest); });
  }
}
