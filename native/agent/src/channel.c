#include "channel.h"
#include "agent.h"
#include "common/constants.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void channel_open(struct channel *c, int fd, bool is_serial, bool resyncs, int slot) {
  memset(c, 0, sizeof *c);
  c->fd = fd;
  c->is_serial = is_serial;
  c->resyncs = resyncs;
  c->slot = slot;
  buffer_init(&c->in, CHANNEL_IN_LIMIT_BYTES);
  buffer_init(&c->out, CHANNEL_OUT_LIMIT_BYTES);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void channel_close(struct channel *c) {
  close(c->fd);
  buffer_free(&c->in);
  buffer_free(&c->out);
}

// Longer than the kernel takes from one report of a port to the next.
#define LATE_REPORT_MS 1000

static bool is_of_earlier_life(const struct channel *c) { return c->life && c->life != agent_shared->life; }

bool channel_is_gone(struct channel *c) {
  if (is_of_earlier_life(c)) c->gone = true;
  return c->gone;
}

void channel_begin_host(struct channel *c) {
  c->scanning = false;
  if (!c->was_left) c->owed++;
  c->was_left = false;
}

// virtio_console reads data in its interrupt and the reports of hosts in a work queue (drivers/char/virtio_console.c, in_intr and
// control_work_handler). The end of one host and the arrival of the next may therefore be seen after the next one's first bytes:
// then the port is without a host for a moment only.
static bool is_late_report(struct channel *c) {
  int64_t until_ms = monotonic_ms() + LATE_REPORT_MS;
  for (; c->owed > 0 && monotonic_ms() < until_ms; sleep_ms(1)) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (poll(&p, 1, 0) < 0 || p.revents & (POLLHUP | POLLERR | POLLNVAL)) continue;
    c->owed--;
    return true;
  }
  c->owed = 0;
  c->was_left = true;
  return false;
}

static void hang_up(struct channel *c) {
  if (!c->is_serial || !is_late_report(c)) c->gone = true;
}

void channel_begin_request(struct channel *c) { agent_shared->served_life[c->slot] = c->life = agent_shared->life; }

void channel_end_request(struct channel *c) {
  agent_shared->served_life[c->slot] = 0;
  // One that was answered to its end has a host, whatever has happened meanwhile.
  if (!c->gone) c->life = 0;
}

bool channel_fill(struct channel *c) {
  size_t room = buffer_room(&c->in);
  if (channel_is_gone(c)) return false;
  if (room == 0) return true;
  if (room > 16384) room = 16384;
  uint8_t *into = buffer_reserve(&c->in, room);
  if (!into) return true;
  ssize_t n = read(c->fd, into, room);
  if (n > 0) buffer_commit(&c->in, (size_t)n);
  // A virtio port without a host reads as end of file; so does a closed socket.
  else if (n == 0) hang_up(c);
  else if (errno != EAGAIN && errno != EINTR) c->gone = true;
  return !c->gone;
}

bool channel_drain(struct channel *c) {
  // What is written to its end is not cut off.
  while (buffer_length(&c->out) > 0 && !channel_is_gone(c)) {
    ssize_t n = write(c->fd, buffer_bytes(&c->out), buffer_length(&c->out));
    if (n > 0) {
      buffer_consume(&c->out, (size_t)n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) c->gone = true;
    break;
  }
  return !c->gone;
}

short channel_events(const struct channel *c, bool wants_input) {
  short events = 0;
  if (wants_input && buffer_room(&c->in) > 0) events |= POLLIN;
  if (buffer_length(&c->out) > 0) events |= POLLOUT;
  // While nobody reads, only this event reports the end of the stream.
  if (!c->is_serial && buffer_room(&c->in) == 0) events |= POLLRDHUP;
  return events;
}

bool channel_handle(struct channel *c, short revents) {
  if (channel_is_gone(c)) return false;
  if (revents & POLLOUT) channel_drain(c);
  bool is_left = c->is_serial && revents & POLLHUP;
  // A serial port's session ends with its host; data that a socket's peer sent before it closed is still read.
  if (is_left) hang_up(c);
  else if (revents & POLLIN) channel_fill(c);
  else if (revents & (POLLHUP | POLLERR | POLLNVAL)) c->gone = true;
  // A host that has left for good does not wait for replies to unread requests.
  if (revents & POLLRDHUP && buffer_room(&c->in) == 0) c->gone = true;
  return !c->gone;
}

static bool channel_wait(struct channel *c, bool wants_input) {
  struct pollfd p = {.fd = c->fd, .events = channel_events(c, wants_input)};
  if (channel_is_gone(c)) return false;
  int n = poll(&p, 1, -1);
  if (n < 0) return errno == EINTR;
  return channel_handle(c, p.revents);
}

bool channel_read_more(struct channel *c) {
  size_t before = buffer_length(&c->in);
  if (buffer_room(&c->in) == 0) return false;
  while (buffer_length(&c->in) == before)
    if (!channel_wait(c, true)) return false;
  return true;
}

bool channel_flush(struct channel *c) {
  channel_drain(c);
  while (buffer_length(&c->out) > 0)
    if (!channel_wait(c, false)) return false;
  return !c->gone;
}

bool channel_write(struct channel *c, const void *bytes, size_t n) {
  const uint8_t *at = bytes;
  while (n > 0) {
    size_t piece = buffer_room(&c->out) < n ? buffer_room(&c->out) : n;
    if (piece == 0) {
      channel_drain(c);
      if (buffer_room(&c->out) == 0 && !channel_wait(c, false)) return false;
      continue;
    }
    if (!buffer_append(&c->out, at, piece)) return false;
    at += piece;
    n -= piece;
  }
  return !c->gone;
}

// No frame type is 0xff, and no reply begins with it; this many bytes complete any frame that was begun.
void channel_break_off(struct channel *c) {
  static uint8_t nonsense[FRAME_HEADER_BYTES + FRAME_MAX_PAYLOAD_BYTES + 2];
  memset(nonsense, 0xff, sizeof nonsense);
  c->scanning = true;
  if (channel_write(c, nonsense, sizeof nonsense)) channel_flush(c);
}

// A new host may have come so soon after the old one that the port announces neither: it may have taken the session over, or
// wait for the answer to its BANGER-SYNC, and skips what it does not understand.
static void break_off_earlier_life(struct channel *c) {
  struct pollfd p = {.fd = c->fd, .events = POLLIN};
  c->life = 0;
  c->gone = poll(&p, 1, 0) < 0 || p.revents & (POLLHUP | POLLERR | POLLNVAL);
  if (!c->gone) channel_break_off(c);
  buffer_clear(&c->out);
}

// poll() on a port without a host returns at once, so this waits for the signal that virtio_console sends when the host's side changes
// (drivers/char/virtio_console.c, send_sigio_to_port). The limit only guards against a lost signal.
// Unread data of the old host is not discarded here: a new host's BANGER-SYNC may already follow it.
bool channel_await_host(struct channel *c) {
  buffer_clear(&c->out);
  if (!c->is_serial) return false;
  if (is_of_earlier_life(c)) break_off_earlier_life(c);
  sigset_t io;
  sigemptyset(&io);
  sigaddset(&io, SIGIO);
  sigprocmask(SIG_BLOCK, &io, NULL);
  fcntl(c->fd, F_SETOWN, getpid());
  int flags = fcntl(c->fd, F_GETFL);
  fcntl(c->fd, F_SETFL, flags | O_ASYNC);
  const struct timespec limit = {.tv_sec = 10};
  bool is_usable = true;
  for (;;) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int n = poll(&p, 1, 0);
    if (n >= 0 && p.revents & (POLLERR | POLLNVAL)) is_usable = false;
    if (n >= 0 && (!is_usable || !(p.revents & POLLHUP))) break;
    c->was_left = true;
    sigtimedwait(&io, NULL, &limit);
  }
  fcntl(c->fd, F_SETFL, flags);
  c->life = 0;
  c->gone = false;
  c->scanning = true;
  return is_usable;
}
