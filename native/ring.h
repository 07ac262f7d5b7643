// One ring: messages from one lane to another, written by one and read by the other.
//
//   the producer's extent                                the consumer's extent
//   ring.queued ─ port.tail                              ring.taken ─ port.head
//
//   slots:  … free │ taken, kept for an undo │ to be read │ written, not published │ free …
//                  ▲ head          ▲ taken   ▲            ▲ tail                   ▲ queued
//
// Positions count messages ever and do not wrap; a slot is a position modulo kRingSlots. Each side
// writes its own two words only. ring.queued and ring.taken belong to a turn and its journal;
// port.tail and port.head say the same to the other side, behind the commit. So what lies from head
// to tail is committed by its sender and not yet committed by its receiver: it is read again by
// whoever owns the receiver when a turn there is undone. Slots are memory from the first message on.
//
// Payloads are a stream beside the ring (docs/adr/0026), in nodes and chunks of the producer's. A
// message says where its own begins; the consumer copies what it needs and says how far it is:
//
//   stream:  … free │ read, not yet freed │ read, kept for an undo │ to be read │ of the open turn
//                   ▲ ring.released       ▲ their port.read        ▲ their ring.read
#pragma once
#include <algorithm>
#include <cstdint>

#include "layout.gen.h"
#include "segment.h"

namespace baton {

static_assert((kRingSlots & (kRingSlots - 1)) == 0);
static_assert(sizeof(Message) == 32 && kChunkBytes % sizeof(Message) == 0);

// With so few messages left a full ring has been read: a long way, so that few wake-ups fill it.
constexpr uint64_t kRingLow = kRingSlots / 4;

// More than all payloads of a full ring.
constexpr uint64_t kStreamGap = uint64_t{kRingSlots} << 32;

// One without a payload.
inline Message messageOf(int32_t kind, int32_t row, int32_t value) {
  Message message = {};
  message.kind = kind;
  message.row = row;
  message.value = value;
  return message;
}

// The producer's end. What it remembers of the other side is a cache.
class RingOut {
 public:
  // `mine`: this lane's port towards the consumer; `theirs`: the consumer's port towards this lane.
  void attach(Port* mine, const Port* theirs, Message* slots) {
    mine_ = mine;
    theirs_ = theirs;
    slots_ = slots;
    is_backed_ = false;
    begin(0);
  }

  // A new owner of the lane begins at `queued`. The other lane's extent may not be there yet: it is
  // looked at when room is needed.
  void begin(uint64_t queued) { head_ = queued - kRingSlots; }

  // Whether position `queued` may be written. False, too, while there is no memory for slots.
  bool hasRoom(uint64_t queued) {
    if (queued - head_ < kRingSlots) return true;
    if (!is_backed_ && !back()) return false;
    look();
    return queued - head_ < kRingSlots;
  }

  // Asks the consumer to ring once most of the ring is free. True: it is free already, and nobody
  // need ring.
  bool await(uint64_t queued) {
    __atomic_store_n(&mine_->waiting, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // with RingIn::owesRing
    if (!is_backed_) return false;
    look();
    return queued - head_ <= kRingLow;
  }

  // Asks it to ring once it has read on. Returns how far it has read by now.
  uint64_t awaitRead() {
    __atomic_store_n(&mine_->waiting, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // with RingIn::owesRing
    return read();
  }
  // How far the consumer has read the stream, and will not read again.
  uint64_t read() const { return __atomic_load_n(&theirs_->read, __ATOMIC_ACQUIRE); }

  uint64_t base() const { return mine_->base; }
  // What is in the stream is gone, and its memory about to be others'. Returns where the next one
  // begins: behind all offsets that the consumer can come to by what it has still to take.
  uint64_t dropStream() {
    const uint64_t from = std::max(read(), mine_->base);
    __atomic_store_n(&mine_->base, from + kStreamGap, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // with RingIn::isThere
    return mine_->base;
  }

  void write(uint64_t position, const Message& message) {
    slots_[position & (kRingSlots - 1)] = message;
  }

  // The consumer may read everything before `queued`.
  void publish(uint64_t queued) { __atomic_store_n(&mine_->tail, queued, __ATOMIC_RELEASE); }

  uint64_t published() const { return mine_->tail; }
  uint64_t freed() const { return __atomic_load_n(&theirs_->head, __ATOMIC_ACQUIRE); }

 private:
  void look() { head_ = freed(); }
  bool back() {
    const auto at = static_cast<uint64_t>(reinterpret_cast<uint8_t*>(slots_) - segment.base);
    is_backed_ = segment.grow(at, kRingSlots * sizeof(Message)) >= 0;
    return is_backed_;
  }

  Port* mine_ = nullptr;
  const Port* theirs_ = nullptr;
  Message* slots_ = nullptr;
  uint64_t head_ = 0;  // of the consumer, when somebody looked last; before: as if it were full
  bool is_backed_ = false;
};

// The consumer's end.
class RingIn {
 public:
  // `mine`: this lane's port towards the producer; `theirs`: the producer's port towards this lane.
  void attach(Port* mine, Port* theirs, const Message* slots) {
    mine_ = mine;
    theirs_ = theirs;
    slots_ = slots;
    tail_ = 0;
  }

  // A new owner of the lane begins at `taken`.
  void begin(uint64_t taken) { tail_ = taken; }

  // How many may be read from `taken` on; 0 only after a look at what is there now. More than a
  // ring holds cannot be true: then nothing is read.
  uint64_t available(uint64_t taken) {
    if (taken == tail_) {
      const uint64_t tail = published();
      if (tail - taken <= kRingSlots) tail_ = tail;
    }
    return tail_ - taken;
  }

  const Message& read(uint64_t position) const { return slots_[position & (kRingSlots - 1)]; }

  // The producer may write every slot before `taken`, and free its stream up to `read`.
  void release(uint64_t taken, uint64_t read) {
    __atomic_store_n(&mine_->read, read, __ATOMIC_RELEASE);
    __atomic_store_n(&mine_->head, taken, __ATOMIC_RELEASE);
  }

  // After a payload was looked at: whether it was one, or others' bytes by then.
  bool isThere(const Message& message) const {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // with RingOut::dropStream
    return message.ends - static_cast<uint64_t>(message.bytes) >=
           __atomic_load_n(&theirs_->base, __ATOMIC_RELAXED);
  }

  // The end of the stream as of the message before `taken`.
  uint64_t endBefore(uint64_t taken) const { return taken == 0 ? 0 : read(taken - 1).ends; }

  // After a full fence behind release(): whether the producer waits for the room that there is now.
  // True for one caller only.
  bool owesRing() {
    if (__atomic_load_n(&theirs_->waiting, __ATOMIC_RELAXED) == 0) return false;
    if (published() - mine_->head > kRingLow) return false;
    return __atomic_exchange_n(&theirs_->waiting, 0, __ATOMIC_ACQ_REL) != 0;
  }

  uint64_t released() const { return mine_->head; }
  uint64_t readBefore() const { return mine_->read; }  // as the producer knows it
  uint64_t published() const { return __atomic_load_n(&theirs_->tail, __ATOMIC_ACQUIRE); }

 private:
  Port* mine_ = nullptr;
  Port* theirs_ = nullptr;
  const Message* slots_ = nullptr;
  uint64_t tail_ = 0;  // of the producer, when somebody looked last; not before `taken`
};

}  // namespace baton
