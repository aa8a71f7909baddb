#include "proxy/event/timer_queue.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/base/random.h"

using namespace pillion;
using namespace pillion::event;

namespace {

constexpr Duration kSecond{1'000'000};

struct Bell {
  Bell(std::string& log, char name) : log(log), name(name) {}
  void ring() {
    log += name;
    if (again) timer.start_after(*queue, Duration{0});
  }
  std::string& log;
  char name;
  bool again = false;
  TimerQueue* queue = nullptr;
  Timer timer{Timer::bind<&Bell::ring>(this)};
};

}  // namespace

TEST_CASE("timer queue: timers fire in the order of their deadlines, and stopped ones do not") {
  TimerQueue queue{Instant{}};
  std::string log;
  Bell a(log, 'a'), b(log, 'b'), c(log, 'c');
  a.timer.start_after(queue, 3 * kSecond);
  b.timer.start_after(queue, 1 * kSecond);
  c.timer.start_after(queue, 2 * kSecond);
  c.timer.stop();
  CHECK(queue.armed() == 2);
  CHECK(queue.next_deadline() == Instant{} + 1 * kSecond);
  CHECK(queue.advance_to(Instant{} + 5 * kSecond) == 2);
  CHECK(log == "ba");
  CHECK(!queue.next_deadline());
}

TEST_CASE("timer queue: many timers, most of which stop or move, fire as a sorted list would") {
  TimerQueue queue{Instant{}};
  Random random(7);
  struct Alarm {
    void on_timer() { fired = true; }
    Timer timer{Timer::bind<&Alarm::on_timer>(this)};
    bool fired = false;
    std::optional<Instant> due;
  };
  std::vector<std::unique_ptr<Alarm>> alarms;
  size_t fired = 0;
  for (int turn = 0; turn < 20'000; ++turn) {
    if (alarms.size() < 300) alarms.push_back(std::make_unique<Alarm>());
    const size_t at = random.below(alarms.size());
    Alarm& alarm = *alarms[at];
    switch (random.below(4)) {
      case 0: alarm.timer.stop(), alarm.due.reset(); break;
      case 1: alarms.erase(alarms.begin() + static_cast<ptrdiff_t>(at)); break;
      default: alarm.due = queue.now() + Duration(random.below(100'000)); alarm.timer.start(queue, *alarm.due);
    }
    Instant now = queue.now() + Duration(random.below(500));
    if (random.below(10) == 0) now = std::max(now, queue.next_deadline().value_or(now));
    queue.advance_to(now);
    size_t armed = 0;
    for (const auto& a : alarms) {
      // What was started in this turn and is due at once waits for the next advance at most.
      if (a->fired) {
        CHECK(a->due <= now);
        a->due.reset();
        a->fired = false;
        ++fired;
      }
      armed += a->due.has_value();
      if (a->due) CHECK(*a->due > now);
    }
    CHECK(queue.armed() == armed);
  }
  CHECK(fired > 1000);
}

TEST_CASE("timer queue: a stopped timer starts again, earlier or later than before") {
  TimerQueue queue{Instant{}};
  std::string log;
  Bell a(log, 'a');
  a.timer.start_after(queue, 2 * kSecond);
  a.timer.stop();
  CHECK(!queue.next_deadline());
  a.timer.start_after(queue, 1 * kSecond);
  CHECK(queue.next_deadline() == Instant{} + 1 * kSecond);
  a.timer.stop();
  a.timer.start_after(queue, 4 * kSecond);
  CHECK(queue.next_deadline() <= Instant{} + 4 * kSecond);  // the place of the stopped one may be asked for once
  queue.advance_to(Instant{} + 3 * kSecond);
  CHECK(log.empty());
  CHECK(queue.next_deadline() == Instant{} + 4 * kSecond);
  queue.advance_to(Instant{} + 4 * kSecond);
  CHECK(log == "a");
}

TEST_CASE("timer queue: a stopped timer may die, and the queue before its timers") {
  auto queue = std::make_unique<TimerQueue>(Instant{});
  std::string log;
  auto a = std::make_unique<Bell>(log, 'a');
  Bell b(log, 'b');
  a->timer.start_after(*queue, kSecond);
  b.timer.start_after(*queue, kSecond);
  a->timer.stop();
  b.timer.stop();
  a.reset();
  queue->advance_to(Instant{} + 2 * kSecond);
  CHECK(log.empty());
  b.timer.start_after(*queue, kSecond);
  queue.reset();
  CHECK(!b.timer.is_armed());
}

TEST_CASE("timer queue: what a callback arms for now waits for the next advance") {
  TimerQueue queue{Instant{}};
  std::string log;
  Bell a(log, 'a'), b(log, 'b');
  a.queue = b.queue = &queue;
  a.again = true;
  a.timer.start_after(queue, kSecond);
  SUBCASE("armed anew") {}
  SUBCASE("stopped before, and with a place in the heap still") {
    b.timer.start_after(queue, kSecond);
    b.timer.stop();
    queue.set_now(Instant{} + 2 * kSecond);
    b.timer.start_after(queue, Duration{0});
    b.timer.stop();
  }
  CHECK(queue.advance_to(Instant{} + 2 * kSecond) == 1);
  CHECK(log == "a");
  CHECK(queue.advance_to(Instant{} + 2 * kSecond) == 1);
  CHECK(log == "aa");
}
