#include "agent.h"
#include "frames.h"
#include "handlers.h"
#include "ports.h"
#include <poll.h>
#include <string.h>
#include <time.h>

#define WATCH_INTERVAL_MS 500
#define CLOCK_SET_MS 50  // slewing moves the clock by less than this between two checks
#define PORTS_JSON_LIMIT_BYTES (900 * 1024)  // the host accepts replies of 1 MiB

void handle_ports(struct channel *c, struct request *request) {
  static struct port_table table;
  struct buffer body;
  (void)request;
  buffer_init(&body, PORTS_JSON_LIMIT_BYTES);
  ports_read(&table);
  ports_find_owners(&table);
  ports_put_json(&body, &table, PORTS_JSON_LIMIT_BYTES);
  reply_json(c, 200, &body);
  buffer_free(&body);
}

// Owners are only searched when the sockets changed: reading /proc/PID/fd of every process twice a second is too expensive.
static void send_if_changed(struct channel *c, bool is_first) {
  static struct port_table now, before;
  ports_read(&now);
  if (!is_first && now.count == before.count && memcmp(now.rows, before.rows, now.count * sizeof *now.rows) == 0) return;
  memcpy(&before, &now, sizeof now);
  ports_find_owners(&now);
  struct buffer body;
  buffer_init(&body, FRAME_MAX_PAYLOAD_BYTES);
  ports_put_json(&body, &now, FRAME_MAX_PAYLOAD_BYTES);
  frame_put(&c->out, FRAME_DATA, buffer_bytes(&body), buffer_length(&body));
  buffer_free(&body);
}

static int64_t clock_ms(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// The wall clock moved and the uptime did not: a program has set it.
static bool is_clock_set(int64_t *offset_ms) {
  int64_t before = *offset_ms;
  *offset_ms = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME);
  return *offset_ms - before > CLOCK_SET_MS || before - *offset_ms > CLOCK_SET_MS;
}

void handle_ports_watch(struct channel *c, struct request *request) {
  struct frame_reader reader = {0};
  struct frame frame = {0};
  bool is_first = true;
  int64_t offset_ms = 0;
  is_clock_set(&offset_ms);
  (void)request;
  reply_switch(c, 200);
  while (!channel_is_gone(c)) {
    enum frame_result result = frame_next(&reader, &c->in, SIZE_MAX, &frame);
    if (result == FRAME_READY && frame.type == FRAME_CLOSE) {
      const uint8_t status[4] = {0};
      channel_flush(c);
      if (frame_put(&c->out, FRAME_EXIT, status, sizeof status)) channel_flush(c);
      return;
    }
    if (result == FRAME_READY) continue;
    if (result == FRAME_BAD) {
      if (c->resyncs) c->scanning = true;
      else c->gone = true;
      return;
    }
    // A slow host gets the newest state later, instead of every state.
    if (buffer_room(&c->out) >= FRAME_HEADER_BYTES + FRAME_MAX_PAYLOAD_BYTES) send_if_changed(c, is_first);
    is_first = false;
    if (is_clock_set(&offset_ms)) frame_put(&c->out, FRAME_STDERR, "clock\n", 6);
    channel_drain(c);
    struct pollfd p = {.fd = c->fd, .events = channel_events(c, true)};
    if (poll(&p, 1, WATCH_INTERVAL_MS) > 0) channel_handle(c, p.revents);
  }
}
