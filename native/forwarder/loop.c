#include "forwarder.h"
#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 128

static int epoll_fd = -1;
static bool stopping;
static struct epoll_event batch[BATCH];
static int batch_length;
static void **garbage;
static size_t garbage_length, garbage_capacity;

void loop_init(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) _exit(71);
}

int loop_add(struct source *source, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event);
}

int loop_release(struct source *source) {
  int fd = source->fd;
  if (fd < 0) return -1;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  source->fd = -1;
  for (int i = 0; i < batch_length; i++)
    if (batch[i].data.ptr == source) batch[i].data.ptr = NULL;
  return fd;
}

void loop_close(struct source *source) {
  int fd = loop_release(source);
  if (fd >= 0) close(fd);
}

void loop_mute(struct source *source) { epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL); }

void loop_free_later(void *memory) {
  if (garbage_length == garbage_capacity) {
    size_t capacity = garbage_capacity == 0 ? 64 : garbage_capacity * 2;
    void **grown = realloc(garbage, capacity * sizeof *grown);
    if (grown == NULL) return;  // Leaking a few bytes is better than a use after free.
    garbage = grown;
    garbage_capacity = capacity;
  }
  garbage[garbage_length++] = memory;
}

void loop_free_rest(void) {
  while (garbage_length > 0) free(garbage[--garbage_length]);
  free(garbage);
  garbage = NULL;
  garbage_capacity = 0;
}

void loop_stop(void) { stopping = true; }

void loop_run(void (*tick)(int64_t), bool (*tick_needed)(void), bool (*work)(void)) {
  int64_t last_tick = monotonic_ms();
  while (!stopping) {
    bool busy = work();
    int timeout = busy ? 0 : tick_needed() ? 1000 : -1;
    batch_length = epoll_wait(epoll_fd, batch, BATCH, timeout);
    if (batch_length < 0 && errno != EINTR) _exit(71);
    for (int i = 0; i < batch_length && !stopping; i++) {
      struct source *source = batch[i].data.ptr;
      if (source != NULL) source->handle(source, batch[i].events);
    }
    batch_length = 0;
    int64_t now = monotonic_ms();
    if (now - last_tick >= 1000) {
      last_tick = now;
      tick(now);
    }
    while (garbage_length > 0) free(garbage[--garbage_length]);
  }
}
