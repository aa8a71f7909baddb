#include "proxy/event/work.h"

#include <uv.h>

#include <utility>

#include "proxy/base/check.h"

namespace pillion::event {

// Lives until libuv has reported the end of the request, whoever waits for it.
struct WorkJob {
  Loop& loop;
  std::unique_ptr<Work> work;
  WorkTicket* ticket = nullptr;  // null: nobody waits any more
  uv_work_t request{};

  static void on_done(uv_work_t* request, int) {
    const std::unique_ptr<WorkJob> job(static_cast<WorkJob*>(request->data));
    if (job->ticket == nullptr) return;
    job->loop.refresh_now();
    std::exchange(job->ticket, nullptr)->job_ = nullptr;
    job->work->done();
  }
};

WorkTicket::WorkTicket(WorkJob* job) : job_(job) {
  job_->ticket = this;
}

void WorkTicket::take_over(WorkTicket* to) {
  job_ = nullptr;
  if (to->job_ != nullptr) to->job_->ticket = to;
}

WorkTicket& WorkTicket::operator=(WorkTicket&& other) noexcept {
  if (this == &other) return *this;
  cancel();
  job_ = other.job_;
  other.take_over(this);
  return *this;
}

void WorkTicket::cancel() {
  if (job_ == nullptr) return;
  WorkJob* job = std::exchange(job_, nullptr);
  job->ticket = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&job->request));  // fails when it has started; its end is then ignored
}

WorkTicket start_work(Loop& loop, std::unique_ptr<Work> work) {
  auto job = std::unique_ptr<WorkJob>(new WorkJob{loop, std::move(work)});
  job->request.data = job.get();
  PILLION_CHECK(uv_queue_work(
                    loop.uv(), &job->request,
                    [](uv_work_t* request) { static_cast<WorkJob*>(request->data)->work->run(); },
                    &WorkJob::on_done) == 0);
  return WorkTicket(job.release());
}

}  // namespace pillion::event
