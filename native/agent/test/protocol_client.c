#include "protocol_client.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 10000

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void client_start(struct client *c, const char *program) {
  int ends[2];
  char number[16];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  c->agent = fork();
  if (c->agent == 0) {
    snprintf(number, sizeof number, "%d", ends[1]);
    fcntl(ends[1], F_SETFD, 0);
    execl(program, program, "--serve-fd", number, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  c->fd = ends[0];
}

void client_start_two(struct client *first, struct client *second, const char *program) {
  int a[2], b[2];
  char numbers[2][16];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) != 0) abort();
  second->agent = fork();
  if (second->agent == 0) {
    snprintf(numbers[0], sizeof numbers[0], "%d", a[1]);
    snprintf(numbers[1], sizeof numbers[1], "%d", b[1]);
    fcntl(a[1], F_SETFD, 0);
    fcntl(b[1], F_SETFD, 0);
    execl(program, program, "--serve-fd", numbers[0], numbers[1], (char *)NULL);
    _exit(127);
  }
  close(a[1]);
  close(b[1]);
  first->fd = a[0];
  first->agent = 0;
  second->fd = b[0];
}

int client_stop(struct client *c) {
  int status;
  close(c->fd);
  for (int64_t until = now_ms() + LIMIT_MS; now_ms() < until; usleep(5000))
    if (waitpid(c->agent, &status, WNOHANG) == c->agent) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  kill(c->agent, SIGKILL);
  waitpid(c->agent, &status, 0);
  return -1;
}

static bool is_ready(struct client *c, short events) {
  struct pollfd p = {.fd = c->fd, .events = events};
  return poll(&p, 1, LIMIT_MS) > 0;
}

bool client_send(struct client *c, const void *bytes, size_t n) {
  for (size_t done = 0; done < n;) {
    if (!is_ready(c, POLLOUT)) return false;
    ssize_t sent = send(c->fd, (const char *)bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    done += (size_t)sent;
  }
  return true;
}

bool client_receive(struct client *c, void *bytes, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t got = is_ready(c, POLLIN) ? read(c->fd, (char *)bytes + done, n - done) : 0;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

bool client_sync(struct client *c) {
  static unsigned number;
  char line[64], window[64] = "";
  int n = snprintf(line, sizeof line, "BANGER-SYNC %016x\n", ++number);
  if (!client_send(c, line, (size_t)n)) return false;
  while (memcmp(window, line, (size_t)n) != 0) {
    memmove(window, window + 1, (size_t)n - 1);
    if (!client_receive(c, window + n - 1, 1)) return false;
  }
  return true;
}

int client_read_reply(struct client *c, struct reply *r) {
  size_t n = 0;
  memset(r, 0, sizeof *r);
  while (n < 4 || memcmp(r->head + n - 4, "\r\n\r\n", 4) != 0) {
    if (n + 1 >= sizeof r->head || !client_receive(c, r->head + n, 1)) return -1;
    n++;
  }
  if (sscanf(r->head, "HTTP/1.1 %d", &r->status) != 1) return -1;
  const char *length = strcasestr(r->head, "\r\nContent-Length: ");
  if (length) r->length = strtoul(length + 18, NULL, 10);
  if (r->length >= sizeof r->body || !client_receive(c, r->body, r->length)) return -1;
  return r->status;
}

int client_request(struct client *c, const char *method, const char *target, const void *body, size_t n, struct reply *r) {
  char head[20000];
  int length = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: guest\r\nContent-Length: %zu\r\n\r\n", method, target, n);
  if (!client_send(c, head, (size_t)length) || !client_send(c, body, n)) return -1;
  return client_read_reply(c, r);
}

bool client_frame(struct client *c, int type, const void *payload, size_t n) {
  uint8_t header[4] = {(uint8_t)type, 0, (uint8_t)(n >> 8), (uint8_t)n};
  return client_send(c, header, 4) && client_send(c, payload, n);
}

int client_read_frame(struct client *c, uint8_t *payload, size_t *length) {
  uint8_t header[4];
  if (!client_receive(c, header, 4) || header[1] != 0) return -1;
  *length = (size_t)header[2] << 8 | header[3];
  return client_receive(c, payload, *length) ? header[0] : -1;
}

static void collect(char *into, size_t capacity, size_t *length, const uint8_t *payload, size_t n) {
  if (*length + n >= capacity) abort();
  memcpy(into + *length, payload, n);
  *length += n;
}

void client_outcome(struct client *c, struct outcome *o) {
  static uint8_t payload[65536];
  size_t n;
  memset(o, 0, sizeof *o);
  o->status = -1;
  for (int type; (type = client_read_frame(c, payload, &n)) >= 0;) {
    if (type == 0) collect(o->out, sizeof o->out, &o->out_length, payload, n);
    if (type == 1) collect(o->err, sizeof o->err, &o->err_length, payload, n);
    if (type == 2) o->got_eof = true;
    if (type != 5) continue;
    o->status = (int)((uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 | (uint32_t)payload[2] << 8 | payload[3]);
    memcpy(o->reason, payload + 4, n - 4 < 255 ? n - 4 : 255);
    return;
  }
}
