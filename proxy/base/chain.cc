#include "proxy/base/chain.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "proxy/base/check.h"

namespace pillion {
namespace {

constexpr uint32_t kRoom = ChunkPool::kChunkBytes - sizeof(Chunk);

void destroy(Chunk* chunk) {
  chunk->~Chunk();
  std::free(chunk);
}

}  // namespace

ChunkPool::~ChunkPool() {
  if (read_chunk_ != nullptr) release(read_chunk_);
  PILLION_CHECK(live_ == 0);  // a Chain that outlives its pool would write into freed memory later
  while (free_ != nullptr) {
    Chunk* next = free_->next_free;
    destroy(free_);
    free_ = next;
  }
}

Chunk* ChunkPool::acquire() {
  Chunk* chunk = free_;
  if (chunk != nullptr) {
    free_ = chunk->next_free;
    --free_count_;
  } else {
    void* memory = std::malloc(kChunkBytes);
    PILLION_CHECK(memory != nullptr);
    chunk = new (memory) Chunk{};
    chunk->capacity = kRoom;
    chunk->pool = this;
  }
  chunk->refs = 1;
  chunk->filled = 0;
  chunk->next_free = nullptr;
  ++live_;
  return chunk;
}

void ChunkPool::release(Chunk* chunk) {
  PILLION_DCHECK(chunk->refs > 0);
  if (--chunk->refs != 0) return;
  --live_;
  if (free_count_ >= kFreeChunksMax) {
    destroy(chunk);
    return;
  }
#ifndef NDEBUG
  std::memset(chunk->data(), 0xdb, chunk->capacity);  // a use after return shows itself
#endif
  chunk->next_free = free_;
  free_ = chunk;
  ++free_count_;
}

Chunk* ChunkPool::read_chunk(size_t min_bytes) {
  PILLION_DCHECK(min_bytes <= kRoom);
  if (read_chunk_ != nullptr) {
    if (read_chunk_->refs == 1) read_chunk_->filled = 0;  // nobody else looks at it: start over
    if (read_chunk_->capacity - read_chunk_->filled >= min_bytes) return read_chunk_;
    release(read_chunk_);
  }
  read_chunk_ = acquire();
  return read_chunk_;
}

void SliceList::make_room() {
  const uint32_t live = end_ - head_;
  if (head_ > 0 && head_ >= live) {
    std::copy(begin(), end(), at());
  } else {
    auto* const larger = static_cast<Slice*>(std::malloc(2 * capacity_ * sizeof(Slice)));
    PILLION_CHECK(larger != nullptr);
    std::copy(begin(), end(), larger);
    if (is_on_heap()) std::free(place_.many);
    place_.many = larger;
    capacity_ *= 2;
  }
  head_ = 0;
  end_ = live;
}

Chain::Chain(Chain&& other) noexcept : slices_(std::move(other.slices_)), bytes_(std::exchange(other.bytes_, 0)) {}

Chain& Chain::operator=(Chain&& other) noexcept {
  if (this == &other) return *this;
  clear();
  slices_.swap(other.slices_);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void Chain::clear() {
  for (const Slice& s : slices_) s.chunk->pool->release(s.chunk);
  slices_.clear();
  bytes_ = 0;
}

void Chain::pop_front_slice() {
  Slice& s = slices_.front();
  s.chunk->pool->release(s.chunk);
  slices_.pop_front();
}

void Chain::append(Chain&& other) {
  if (&other == this || other.empty()) return;
  if (empty()) {
    *this = std::move(other);
    return;
  }
  for (const Slice& s : other.slices_) {
    const size_t n = s.end - s.begin;
    if (n < kCopyBelow) {
      append(*s.chunk->pool, {s.chunk->data() + s.begin, n});
      s.chunk->pool->release(s.chunk);
    } else {
      slices_.push_back(s);
      bytes_ += n;
    }
  }
  other.slices_.clear();
  other.bytes_ = 0;
}

void Chain::append(ChunkPool& pool, std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> room = reserve(pool, 1);
    const size_t n = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

void Chain::append_slice(Chunk* chunk, uint32_t begin, uint32_t end) {
  if (begin == end) return;
  bytes_ += end - begin;
  if (!slices_.empty() && slices_.back().chunk == chunk && slices_.back().end == begin) {
    slices_.back().end = end;
    return;
  }
  ++chunk->refs;
  slices_.push_back({chunk, begin, end});
}

void Chain::append_shared(const Chain& other) {
  for (const Slice& s : other.slices_) append_slice(s.chunk, s.begin, s.end);
}

std::span<char> Chain::reserve(ChunkPool& pool, size_t min) {
  PILLION_DCHECK(min <= kRoom);
  if (!slices_.empty()) {
    Chunk* tail = slices_.back().chunk;
    if (slices_.back().end == tail->filled && tail->capacity - tail->filled >= min) {
      return {tail->data() + tail->filled, tail->capacity - tail->filled};
    }
  }
  Chunk* fresh = pool.acquire();
  slices_.push_back({fresh, 0, 0});  // holds acquire()'s reference
  return {fresh->data(), fresh->capacity};
}

void Chain::commit(size_t bytes) {
  Slice& tail = slices_.back();
  tail.end += static_cast<uint32_t>(bytes);
  tail.chunk->filled = tail.end;
  bytes_ += bytes;
  if (tail.begin == tail.end) {  // reserved and not used: leave no empty slice behind
    tail.chunk->pool->release(tail.chunk);
    slices_.pop_back();
  }
}

std::string_view Chain::front() const {
  if (bytes_ == 0) return {};
  const Slice& s = slices_.front();
  return {s.chunk->data() + s.begin, s.end - s.begin};
}

void Chain::drain(size_t bytes) {
  PILLION_DCHECK(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes > 0) {
    Slice& s = slices_.front();
    const size_t n = s.end - s.begin;
    if (bytes < n) {
      s.begin += static_cast<uint32_t>(bytes);
      return;
    }
    bytes -= n;
    pop_front_slice();
  }
}

void Chain::move_front(size_t bytes, Chain& to) {
  PILLION_DCHECK(bytes <= bytes_);
  if (bytes == bytes_) {
    to.append(std::move(*this));
    return;
  }
  while (bytes > 0) {
    Slice& s = slices_.front();
    const uint32_t n = static_cast<uint32_t>(std::min<size_t>(bytes, s.end - s.begin));
    if (n < kCopyBelow && !to.empty()) {
      to.append(*s.chunk->pool, {s.chunk->data() + s.begin, n});
    } else {
      to.append_slice(s.chunk, s.begin, s.begin + n);
    }
    s.begin += n;
    bytes -= n;
    bytes_ -= n;
    if (s.begin == s.end) pop_front_slice();
  }
}

size_t Chain::iov(std::span<iovec> out) const {
  size_t n = 0;
  for (const Slice& s : slices_) {
    if (n == out.size()) break;
    out[n++] = {s.chunk->data() + s.begin, s.end - s.begin};
  }
  return n;
}

size_t Chain::copy_out(std::span<char> out) const {
  size_t done = 0;
  for (const Slice& s : slices_) {
    if (done == out.size()) break;
    const size_t n = std::min<size_t>(s.end - s.begin, out.size() - done);
    std::memcpy(out.data() + done, s.chunk->data() + s.begin, n);
    done += n;
  }
  return done;
}

std::string Chain::to_string() const {
  std::string out(bytes_, '\0');
  copy_out(out);
  return out;
}

}  // namespace pillion
