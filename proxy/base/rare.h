// A value that is nearly always empty, in the place of one pointer: a name in a table of ten thousand addresses. Reads
// as an empty T where it was never set; copies deeply.
#pragma once

#include <memory>
#include <utility>

namespace pillion {

template <class T>
class Rare {
 public:
  Rare() = default;
  Rare(T value) { *this = std::move(value); }
  Rare(const Rare& other) : value_(other.value_ == nullptr ? nullptr : std::make_unique<T>(*other.value_)) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(const Rare& other) {
    if (value_ != nullptr || other.value_ != nullptr) *this = Rare(other);
    return *this;
  }
  Rare& operator=(Rare&&) noexcept = default;
  Rare& operator=(T value) {
    value_ = value.empty() ? nullptr : std::make_unique<T>(std::move(value));
    return *this;
  }

  bool empty() const { return value_ == nullptr; }
  const T& get() const { return value_ != nullptr ? *value_ : none(); }
  const T& operator*() const { return get(); }
  operator const T&() const { return get(); }

  friend bool operator==(const Rare& a, const Rare& b) { return a.get() == b.get(); }
  friend bool operator==(const Rare& a, const T& b) { return a.get() == b; }

 private:
  static const T& none() {
    static const T kNone{};
    return kNone;
  }
  std::unique_ptr<T> value_;
};

}  // namespace pillion
