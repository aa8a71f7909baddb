// One part of the proxy, measured alone.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pillion::micro {

class Part {
 public:
  explicit Part(std::string name) : name(std::move(name)) {}
  virtual ~Part() = default;
  virtual void run(size_t times) = 0;
  const std::string name;
};
using Parts = std::vector<std::unique_ptr<Part>>;

template <class Body>
std::unique_ptr<Part> make_part(std::string name, Body body) {
  class Made final : public Part {
   public:
    Made(std::string name, Body body) : Part(std::move(name)), body_(std::move(body)) {}
    void run(size_t times) override { body_(times); }

   private:
    Body body_;
  };
  return std::make_unique<Made>(std::move(name), std::move(body));
}

void add_header_map(Parts& parts);
void add_codecs(Parts& parts);  // HTTP/1 and HTTP/2: a request and its answer through both sides
void add_router(Parts& parts);
void add_balancers(Parts& parts);
void add_timer_queue(Parts& parts);
void add_tls_records(Parts& parts);

// The compiler may not drop what leads to `value`.
template <class T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace pillion::micro
