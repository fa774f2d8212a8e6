// Questions of guests over TCP (RFC 1035, 4.2.2): each has its length in front.
#include "forwarder.h"
#include "names.h"
#include "shares.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUESTION_BYTES 1024
// Resolvers ask at once and close the connection after the answer.
#define IDLE_MS 10000

struct connection {
  struct source source;
  int outside_fd;
  struct sockaddr_in guest, target;
  int64_t since_ms;
  struct connection *next;
};

static struct connection *connections;

bool names_waiting(void) { return connections != NULL; }

// Takes it from the list, and returns the guest's socket.
static int release(struct connection *connection) {
  struct connection **at = &connections;
  while (*at != connection) at = &(*at)->next;
  *at = connection->next;
  share_give_back(party_of_guest(connection->guest.sin_addr), SHARE_TCP_OUT);
  loop_free_later(connection);
  return loop_release(&connection->source);
}

static void end(struct connection *connection) {
  if (connection->outside_fd >= 0) close(connection->outside_fd);
  close(release(connection));
}

// Answers a complete question at the beginning of `bytes`. Returns its length; 0 if it is incomplete, -1 if it is not for this server.
static ssize_t answer_first(int fd, const uint8_t *bytes, size_t length) {
  uint8_t answer[2 + NAMES_ANSWER_BYTES];
  size_t question = length < 2 ? 0 : (size_t)(bytes[0] << 8 | bytes[1]);
  if (length >= 2 && question > QUESTION_BYTES - 2) return -1;
  if (length < 2 || length < 2 + question) return 0;
  size_t n = names_answer(bytes + 2, question, answer + 2);
  if (n == 0) return -1;
  answer[0] = (uint8_t)(n >> 8);
  answer[1] = (uint8_t)n;
  return send(fd, answer, n + 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : (ssize_t)(2 + question);
}

static void on_question(struct source *source, uint32_t events) {
  (void)events;
  struct connection *connection = (struct connection *)source;
  uint8_t bytes[QUESTION_BYTES];
  for (;;) {
    // Peek only, so that the host's server gets what is meant for it.
    ssize_t n = recv(source->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    ssize_t used = n <= 0 ? 0 : answer_first(source->fd, bytes, (size_t)n);
    if (n == 0) return end(connection);
    if (used == 0) return;
    if (used < 0 && connection->outside_fd < 0) return end(connection);
    if (used < 0) {
      struct sockaddr_in guest = connection->guest, target = connection->target;
      int outside = connection->outside_fd;
      tcp_join(release(connection), outside, &guest, &target);
      return;
    }
    // A client that asks about VMs here asks nothing else on this connection.
    if (connection->outside_fd >= 0) close(connection->outside_fd);
    connection->outside_fd = -1;
    connection->since_ms = monotonic_ms();
    if (recv(source->fd, bytes, (size_t)used, MSG_DONTWAIT) != used) return end(connection);
  }
}

void names_connection(int guest_fd, int outside_fd, const struct sockaddr_in *guest, const struct sockaddr_in *target) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL || !share_take(party_of_guest(guest->sin_addr), SHARE_TCP_OUT)) {
    free(connection);
    tcp_refuse(guest_fd);
    tcp_refuse(outside_fd);
    return;
  }
  *connection = (struct connection){
      .source = {.fd = guest_fd, .handle = on_question},
      .outside_fd = outside_fd,
      .guest = *guest,
      .target = *target,
      .since_ms = monotonic_ms(),
      .next = connections,
  };
  connections = connection;
  if (loop_add(&connection->source, EPOLLIN | EPOLLRDHUP | EPOLLET) != 0) end(connection);
}

void names_tick(int64_t now) {
  for (struct connection *c = connections, *next; c != NULL; c = next) {
    next = c->next;
    if (now - c->since_ms > IDLE_MS) end(c);
  }
}

void names_forget(struct in_addr guest) {
  for (struct connection *c = connections, *next; c != NULL; c = next) {
    next = c->next;
    if (c->guest.sin_addr.s_addr == guest.s_addr) end(c);
  }
}
