#include "proxy/config/table.h"

#include <map>
#include <string>

#include <doctest/doctest.h>

#include "proxy/base/random.h"

using namespace pillion;
using Table = config::Table<int>;

namespace {

using Model = std::map<std::string, std::shared_ptr<const int>>;

void check_same(const Table& table, const Model& model) {
  CHECK(table.size() == model.size());
  CHECK(table.empty() == model.empty());
  auto expected = model.begin();
  for (const auto& [name, value] : table) {
    REQUIRE(expected != model.end());
    CHECK(name == expected->first);
    CHECK(value == expected->second);
    ++expected;
  }
  CHECK(expected == model.end());
}

std::string name_of(uint64_t number) {
  return "name " + std::to_string(number);
}

}  // namespace

TEST_CASE("table: does what a map does, and a copy stays what it was") {
  Random random(7);
  Table table;
  Model model;
  std::vector<std::pair<Table, Model>> copies;
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = name_of(random.below(1000));
    const uint64_t what = random.below(10);
    if (what < 6) {
      auto value = std::make_shared<const int>(step);
      table.insert_or_assign(name, value);
      model.insert_or_assign(name, value);
    } else if (what < 7) {
      auto value = std::make_shared<const int>(step);
      CHECK(table.insert(name, value) == model.emplace(name, value).second);
    } else {
      CHECK(table.erase(name) == model.erase(name));
    }
    const auto found = model.find(name);
    CHECK(table.contains(name) == (found != model.end()));
    CHECK(table.get(name) == (found == model.end() ? nullptr : found->second));
    if (step % 1000 == 0) copies.emplace_back(table, model);
  }
  check_same(table, model);
  for (const auto& [copy, then] : copies) check_same(copy, then);
  CHECK_FALSE(copies.back().first == table);
  CHECK(Table(table) == table);
  while (!model.empty()) {
    CHECK(table.erase(model.begin()->first) == 1);
    model.erase(model.begin());
  }
  check_same(table, model);
  CHECK(table.find("") == table.end());
}

TEST_CASE("table: equal is who holds the same values, however it came to them") {
  const auto one = std::make_shared<const int>(1);
  Table up;
  Table down;
  for (int i = 0; i < 500; ++i) up.insert_or_assign(name_of(static_cast<uint64_t>(i)), one);
  for (int i = 499; i >= 0; --i) down.insert_or_assign(name_of(static_cast<uint64_t>(i)), one);
  CHECK(up == down);
  Table changed = up;
  changed.insert_or_assign(name_of(250), std::make_shared<const int>(1));
  CHECK_FALSE(changed == up);
  changed.insert_or_assign(name_of(250), one);
  CHECK(changed == up);
  CHECK(Table() == Table());
}
