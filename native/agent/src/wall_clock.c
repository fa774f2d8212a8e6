// The guest's wall clock, which the host keeps: a guest does not notice that it was paused.
#include "handlers.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#define NS_PER_MS 1000000
#define NS_PER_S INT64_C(1000000000)
#define NEAR_ENOUGH_MS 20
#define DAY_MS 86400000.0
#define SLEW_MOST_MS 1000.0  // at 0.5 ms a second (MAX_TICKADJ of Linux) this takes half an hour

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool set_ns(int64_t ns) {
  struct timespec wanted = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
  return ns >= 0 && clock_settime(CLOCK_REALTIME, &wanted) == 0;
}

bool set_clock(int64_t unix_ms) {
  int64_t difference_ms = unix_ms - now_ns() / NS_PER_MS;
  if (difference_ms >= -NEAR_ENOUGH_MS && difference_ms <= NEAR_ENOUGH_MS) return true;
  return set_ns(unix_ms * NS_PER_MS);
}

// If an NTP program of the guest keeps the clock, leave it alone.
static bool is_kept_inside(void) {
  struct timex state = {0};
  return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}

void handle_get_time(struct channel *c, struct request *request) {
  (void)request;
  struct buffer body;
  buffer_init(&body, 256);
  const char *kept = is_kept_inside() ? "true" : "false";
  int64_t ns = now_ns();
  buffer_printf(&body, "{\"unixMs\":%lld.%03lld,\"synchronized\":%s}", (long long)(ns / NS_PER_MS),
                (long long)(ns % NS_PER_MS / 1000), kept);
  reply_json(c, 200, &body);
  buffer_free(&body);
}

static bool is_within(const struct json_node *n, double most) {
  return n->type == JSON_NUMBER && fabs(n->number) <= most;
}

// By a difference, so that the request's travel time does not matter.
static bool step(double ms) { return set_ns(now_ns() + (int64_t)(ms * NS_PER_MS)); }

static bool slew(double ms) {
  struct timex order = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = (long)(ms * 1000)};
  return adjtimex(&order) >= 0;
}

void handle_time(struct channel *c, struct request *request) {
  static const char *const members[] = {"unixMs", "stepMs", "slewMs", NULL};
  struct json_document document;
  int64_t unix_ms;
  if (!request_object(c, request, members, &document)) return;
  const struct json_node *order = document.root->child;
  bool is_one = order && !order->next, is_done = false;
  if (is_one && strcmp(order->key, "stepMs") == 0 && is_within(order, 40000 * DAY_MS)) is_done = step(order->number);
  else if (is_one && strcmp(order->key, "slewMs") == 0 && is_within(order, SLEW_MOST_MS)) is_done = slew(order->number);
  else if (is_one && json_whole(json_member(document.root, "unixMs"), 0, INT64_C(9999999999999), &unix_ms)) is_done = set_clock(unix_ms);
  else is_one = false;
  if (!is_one) reply_error(c, 400, "one of unixMs, stepMs and slewMs is needed, in milliseconds", 0);
  else if (!is_done) reply_errno(c, "the clock cannot be set", errno);
  else reply_empty(c, 204);
  json_free(&document);
}
