#include "session.h"
#include "agent.h"
#include "child.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#define TO_CHILD_LIMIT_BYTES (64 * 1024)
#define DRAIN_AFTER_EXIT_MS 200
#define CLOSE_GRACE_MS 2000
#define HANG_UP_GRACE_MS 400  // a host that comes back allows one second for SYNC

void session_init(struct session *s, struct channel *c) {
  memset(s, 0, sizeof *s);
  s->channel = c;
  s->in_fd = s->out_fd = s->err_fd = s->fault_fd = -1;
  buffer_init(&s->to_child, TO_CHILD_LIMIT_BYTES);
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void end_of_input(struct session *s) {
  if (s->in_fd < 0) return;
  if (s->is_tty) {
    // On a terminal, end of file is a character; after an unfinished line it takes two.
    const char eof[2] = {4, 4};
    buffer_append(&s->to_child, eof, s->last_input_byte == '\n' || s->last_input_byte == 0 ? 1 : 2);
    s->last_input_byte = 0;
  } else if (buffer_length(&s->to_child) == 0) {
    if (s->pid == 0) shutdown(s->in_fd, SHUT_WR);
    close_fd(&s->in_fd);
  }
}

static void send_signal(struct session *s, int signal_number) {
  if (s->pid == 0 || s->child_exited || signal_number < 1 || signal_number > 64) return;
  int group = 0;
  if (s->is_tty && ioctl(s->out_fd, TIOCGPGRP, &group) == 0 && group > 1) kill(-group, signal_number);
  else kill(-s->pid, signal_number);
}

static void take_frame(struct session *s, const struct frame *f) {
  switch (f->type) {
    case FRAME_DATA:
      if (s->in_fd < 0 || s->host_sent_eof) return;
      buffer_append(&s->to_child, f->payload, f->length);
      s->last_input_byte = (char)f->payload[f->length - 1];
      return;
    case FRAME_EOF:
      if (!s->host_sent_eof) end_of_input(s);
      s->host_sent_eof = true;
      return;
    case FRAME_RESIZE:
      if (s->is_tty && s->out_fd >= 0) {
        struct winsize size = {.ws_row = (unsigned short)(f->payload[0] << 8 | f->payload[1]),
                               .ws_col = (unsigned short)(f->payload[2] << 8 | f->payload[3])};
        // A client that does not know its terminal's size sends 0.
        if (size.ws_row == 0) size.ws_row = 24;
        if (size.ws_col == 0) size.ws_col = 80;
        ioctl(s->out_fd, TIOCSWINSZ, &size);
      }
      return;
    case FRAME_SIGNAL: send_signal(s, f->payload[0]); return;
    case FRAME_CLOSE: s->host_sent_close = true; return;
    default: return;
  }
}

static void take_frames(struct session *s) {
  struct frame frame;
  while (!s->host_sent_close) {
    // Two bytes stay free for the end-of-file characters of a terminal.
    size_t room = s->in_fd < 0 || s->host_sent_eof ? SIZE_MAX : buffer_room(&s->to_child) - 2;
    if (buffer_room(&s->to_child) < 2) room = 0;
    enum frame_result result = frame_next(&s->reader, &s->channel->in, room, &frame);
    if (result == FRAME_BAD) s->is_bad = true;
    if (result != FRAME_READY) return;
    take_frame(s, &frame);
  }
}

static void feed_child(struct session *s) {
  while (s->in_fd >= 0 && buffer_length(&s->to_child) > 0) {
    ssize_t n = write(s->in_fd, buffer_bytes(&s->to_child), buffer_length(&s->to_child));
    if (n > 0) buffer_consume(&s->to_child, (size_t)n);
    else if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    else {
      close_fd(&s->in_fd);
      buffer_clear(&s->to_child);
    }
  }
  if (s->host_sent_eof && !s->is_tty) end_of_input(s);
}

// Repeats until neither end moves. Otherwise `in` could stay full although the child has emptied `to_child` meanwhile: poll() would wait
// for neither, and the session would hang.
static void move_input(struct session *s) {
  size_t in, to_child;
  do {
    in = buffer_length(&s->channel->in);
    to_child = buffer_length(&s->to_child);
    take_frames(s);
    feed_child(s);
  } while (in != buffer_length(&s->channel->in) || to_child != buffer_length(&s->to_child));
}

// Reads once from the child, directly into a frame of the out buffer.
static void pull(struct session *s, int *fd, enum frame_type type, size_t *owed) {
  struct buffer *out = &s->channel->out;
  size_t room = buffer_room(out);
  if (room <= FRAME_HEADER_BYTES) return;
  size_t limit = room - FRAME_HEADER_BYTES < 16384 ? room - FRAME_HEADER_BYTES : 16384;
  uint8_t *into = buffer_reserve(out, FRAME_HEADER_BYTES + limit);
  if (!into) return;
  ssize_t n = read(*fd, into + FRAME_HEADER_BYTES, limit);
  if (n > 0) {
    frame_write_header(into, type, (size_t)n);
    buffer_commit(out, FRAME_HEADER_BYTES + (size_t)n);
    *owed = *owed > (size_t)n ? *owed - (size_t)n : 0;
    return;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    *owed = 0;
    return;
  }
  close_fd(fd);
  *owed = 0;
  if (s->pid == 0 && frame_put(out, FRAME_EOF, NULL, 0) && n < 0) close_fd(&s->in_fd);
}

static size_t readable_bytes(int fd) {
  int n = 0;
  return fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void reap(struct session *s) {
  if (s->pid == 0 || s->child_exited || !child_reaped(s->pid, &s->status)) return;
  s->child_exited = true;
  s->drain_until_ms = monotonic_ms() + DRAIN_AFTER_EXIT_MS;
  s->owed_out = readable_bytes(s->out_fd);
  s->owed_err = readable_bytes(s->err_fd);
}

static bool is_finished(const struct session *s) {
  if (s->host_sent_close || s->is_bad || channel_is_gone(s->channel)) return true;
  bool is_drained = s->out_fd < 0 && s->err_fd < 0;
  if (s->pid == 0) return is_drained && (s->in_fd < 0 || s->host_sent_eof);
  if (!s->child_exited) return false;
  // A daemon that the command left behind may hold the pipes for ever; the output of the command itself must still be sent.
  return is_drained || (monotonic_ms() >= s->drain_until_ms && s->owed_out == 0 && s->owed_err == 0);
}

static void wait_for_events(struct session *s, int child_fd) {
  struct channel *c = s->channel;
  bool has_room = buffer_room(&c->out) > FRAME_HEADER_BYTES + 1024;
  struct pollfd p[5] = {
    {.fd = c->fd, .events = channel_events(c, true)},
    {.fd = buffer_length(&s->to_child) > 0 ? s->in_fd : -1, .events = POLLOUT},
    {.fd = has_room ? s->out_fd : -1, .events = POLLIN},
    {.fd = has_room ? s->err_fd : -1, .events = POLLIN},
    {.fd = child_fd, .events = POLLIN},
  };
  int limit_ms = -1;
  bool is_late = s->child_exited && has_room && monotonic_ms() >= s->drain_until_ms;
  if (s->child_exited) {
    int64_t left = s->drain_until_ms - monotonic_ms();
    // After the limit, the session only sends pending bytes, and for that the host must read.
    limit_ms = left > 0 ? (int)left : has_room ? 0 : -1;
  }
  if (poll(p, 5, limit_ms) < 0) return;
  channel_handle(c, p[0].revents);
  if (p[1].revents) feed_child(s);
  if (p[2].revents || (is_late && s->out_fd >= 0)) pull(s, &s->out_fd, FRAME_DATA, &s->owed_out);
  if (p[3].revents || (is_late && s->err_fd >= 0)) pull(s, &s->err_fd, FRAME_STDERR, &s->owed_err);
  if (p[4].revents) {
    struct signalfd_siginfo info;
    while (read(child_fd, &info, sizeof info) > 0) continue;
  }
}

static void wait_for_close(struct channel *c, struct frame_reader *reader) {
  struct frame frame;
  while (!c->gone) {
    enum frame_result result = frame_next(reader, &c->in, SIZE_MAX, &frame);
    if (result == FRAME_READY && frame.type == FRAME_CLOSE) return;
    if (result == FRAME_READY) continue;
    if (result == FRAME_BAD) {
      if (c->resyncs) c->scanning = true;
      else c->gone = true;
      return;
    }
    channel_read_more(c);
  }
}

static void send_exit(struct channel *c, int status, const char *reason) {
  uint8_t payload[4 + 256] = {(uint8_t)(status >> 24), (uint8_t)(status >> 16), (uint8_t)(status >> 8),
                              (uint8_t)status};
  size_t length = strnlen(reason, 256);
  uint8_t header[FRAME_HEADER_BYTES];
  memcpy(payload + 4, reason, length);
  frame_write_header(header, FRAME_EXIT, 4 + length);
  if (channel_write(c, header, sizeof header) && channel_write(c, payload, 4 + length)) channel_flush(c);
}

void session_run(struct session *s) {
  struct channel *c = s->channel;
  char reason[256] = "";
  int child_fd = s->pid ? child_signal_fd() : -1;
  atomic_store(&agent_shared->session_open[c->slot], true);
  for (;;) {
    move_input(s);
    reap(s);
    channel_drain(c);
    if (is_finished(s)) break;
    wait_for_events(s, child_fd);
  }
  close_fd(&s->in_fd);
  close_fd(&s->out_fd);
  close_fd(&s->err_fd);
  if (s->pid && !s->child_exited)
    s->status = child_end(s->pid, child_fd, s->host_sent_close ? CLOSE_GRACE_MS : HANG_UP_GRACE_MS);
  if (s->fault_fd >= 0) child_fault(s->fault_fd, reason, sizeof reason);
  close_fd(&s->fault_fd);
  close_fd(&child_fd);
  atomic_store(&agent_shared->session_open[c->slot], false);
  buffer_free(&s->to_child);
  if (s->is_bad && c->resyncs) c->scanning = true;
  else if (s->is_bad) c->gone = true;
  if (s->is_bad || c->gone) return;
  send_exit(c, s->status, reason);
  if (!s->host_sent_close) wait_for_close(c, &s->reader);
}

void session_fail(struct channel *c, int status, const char *reason) {
  struct frame_reader reader = {0};
  send_exit(c, status, reason);
  wait_for_close(c, &reader);
}
