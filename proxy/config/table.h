// A table of shared immutable values by name, in the order of the names, of which a copy costs next to nothing: it
// shares the blocks of its original, and a change copies the one block that it is in. So a snapshot of ten thousand
// clusters in which one changed costs that one, not ten thousand.
//
//   root ──► [block ≤ kBlockMax items] [block] [block] …      items ascend by name within and across blocks
//
// Reading copies of one table in several threads is safe; changing and copying one of them are things of its owner.
#pragma once

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion::config {

template <class T>
class Table {
 public:
  static constexpr size_t kBlockMax = 64;
  using Value = std::shared_ptr<const T>;
  using Item = std::pair<std::string, Value>;

 private:
  struct Block {
    std::vector<Item> items;              // never empty
    mutable std::atomic<bool> is_shared;  // by another table: for good, it is copied before it is changed
    Block() : is_shared(false) {}
    Block(const Block& other) : items(other.items), is_shared(false) {}
  };
  using BlockPtr = std::shared_ptr<Block>;

 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using pointer = const Item*;
    using reference = const Item&;

    Iterator() = default;
    Iterator(const Table* table, size_t block, size_t item) : table_(table), block_(block), item_(item) {}
    const Item& operator*() const { return table_->blocks_[block_]->items[item_]; }
    const Item* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++item_ == table_->blocks_[block_]->items.size()) {
        ++block_;
        item_ = 0;
      }
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    friend class Table;
    const Table* table_ = nullptr;
    size_t block_ = 0;
    size_t item_ = 0;
  };
  using const_iterator = Iterator;
  using value_type = Item;

  Table() = default;
  Table(const Table& other) : blocks_(other.blocks_), size_(other.size_) {
    for (const BlockPtr& block : blocks_) block->is_shared.store(true, std::memory_order_relaxed);
  }
  Table& operator=(const Table& other) {
    if (this != &other) *this = Table(other);
    return *this;
  }
  Table(Table&& other) noexcept : blocks_(std::move(other.blocks_)), size_(std::exchange(other.size_, 0)) {
    other.blocks_.clear();
  }
  Table& operator=(Table&& other) noexcept {
    blocks_ = std::exchange(other.blocks_, {});
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Iterator begin() const { return {this, 0, 0}; }
  Iterator end() const { return {this, blocks_.size(), 0}; }

  Iterator find(std::string_view name) const {
    if (blocks_.empty()) return end();
    const size_t block = block_of(name);
    const size_t item = item_of(*blocks_[block], name);
    return holds(block, item, name) ? Iterator{this, block, item} : end();
  }
  bool contains(std::string_view name) const { return find(name) != end(); }
  // Null where there is none.
  Value get(std::string_view name) const {
    const Iterator found = find(name);
    return found == end() ? nullptr : found->second;
  }

  // Nothing is copied where that value stands there already.
  void insert_or_assign(std::string_view name, Value value) {
    if (blocks_.empty()) blocks_.push_back(std::make_shared<Block>());
    const size_t at = block_of(name);
    const size_t item = item_of(*blocks_[at], name);
    if (holds(at, item, name)) {
      if (blocks_[at]->items[item].second != value) own(at).items[item].second = std::move(value);
      return;
    }
    std::vector<Item>& items = own(at).items;
    items.emplace(items.begin() + static_cast<std::ptrdiff_t>(item), std::string(name), std::move(value));
    ++size_;
    if (items.size() > kBlockMax) split(at);
  }
  // False, and nothing is done, where the name is there.
  bool insert(std::string_view name, Value value) {
    if (contains(name)) return false;
    insert_or_assign(name, std::move(value));
    return true;
  }
  size_t erase(std::string_view name) {
    const Iterator found = find(name);
    if (found == end()) return 0;
    --size_;
    if (blocks_[found.block_]->items.size() == 1) {
      blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(found.block_));
      return 1;
    }
    std::vector<Item>& items = own(found.block_).items;
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(found.item_));
    return 1;
  }
  void clear() {
    blocks_.clear();
    size_ = 0;
  }

  // The same names with the same values, not equal ones.
  friend bool operator==(const Table& a, const Table& b) {
    if (a.blocks_ == b.blocks_) return true;
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  // Where the name is, or would be.
  size_t block_of(std::string_view name) const {
    const auto after = std::upper_bound(
        blocks_.begin() + 1, blocks_.end(), name,
        [](std::string_view wanted, const BlockPtr& block) { return wanted < block->items.front().first; });
    return static_cast<size_t>(after - blocks_.begin()) - 1;
  }
  static size_t item_of(const Block& block, std::string_view name) {
    const auto at = std::lower_bound(block.items.begin(), block.items.end(), name,
                                     [](const Item& item, std::string_view wanted) { return item.first < wanted; });
    return static_cast<size_t>(at - block.items.begin());
  }
  bool holds(size_t block, size_t item, std::string_view name) const {
    const std::vector<Item>& items = blocks_[block]->items;
    return item < items.size() && items[item].first == name;
  }
  Block& own(size_t at) {
    if (blocks_[at]->is_shared.load(std::memory_order_relaxed)) blocks_[at] = std::make_shared<Block>(*blocks_[at]);
    return *blocks_[at];
  }
  // Names that come in order, as they mostly do, fill the blocks: the new one begins small.
  void split(size_t at) {
    std::vector<Item>& items = blocks_[at]->items;
    const size_t kept = at + 1 == blocks_.size() ? kBlockMax : kBlockMax / 2;
    auto fresh = std::make_shared<Block>();
    const auto from = items.begin() + static_cast<std::ptrdiff_t>(kept);
    fresh->items.assign(std::make_move_iterator(from), std::make_move_iterator(items.end()));
    items.erase(from, items.end());
    items.shrink_to_fit();
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(fresh));
  }

  std::vector<BlockPtr> blocks_;
  size_t size_ = 0;
};

}  // namespace pillion::config
