#include "k8s/capture/process.h"

#include <doctest/doctest.h>

namespace pillion::k8s {
namespace {

TEST_CASE("process: input, output and errors go their own ways, however long") {
  std::string input(300'000, 'a');
  input += '\n';
  const auto copied = run_process({"cat"}, input);
  REQUIRE(copied);
  CHECK(copied->exit_status == 0);
  CHECK(copied->output == input);
  const auto both = run_process({"sh", "-c", "echo out; echo err >&2; exit 3"}, "");
  REQUIRE(both);
  CHECK(both->exit_status == 3);
  CHECK(both->output == "out\n");
  CHECK(both->errors == "err\n");
}

TEST_CASE("process: arguments are not read by a shell") {
  const auto done = run_process({"printf", "%s", "$(id) `id`; x"}, "");
  REQUIRE(done);
  CHECK(done->output == "$(id) `id`; x");
}

TEST_CASE("process: a program that reads nothing, dies or does not exist is told apart") {
  CHECK(run_process({"true"}, std::string(300'000, 'a'))->exit_status == 0);
  CHECK(run_process({"sh", "-c", "kill -9 $$"}, "")->exit_status == 128 + 9);
  const auto missing = run_process({"no-such-program-of-pillion"}, "");
  REQUIRE_FALSE(missing);
  CHECK(missing.error() == "no-such-program-of-pillion: No such file or directory");
  CHECK_FALSE(run_process({}, ""));
}

TEST_CASE("process: endless output is stopped") {
  const auto done = run_process({"yes"}, "");
  REQUIRE_FALSE(done);
  CHECK(done.error() == "yes: printed too much and was killed");
}

TEST_CASE("process: the first program that exists is found") {
  CHECK(find_program({"no-such-program-of-pillion", "sh"}).ends_with("/sh"));
  CHECK(find_program({"no-such-program-of-pillion"}).empty());
}

}  // namespace
}  // namespace pillion::k8s
