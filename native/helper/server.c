#include "banger-helper.h"
#include "common/clock.h"
#include "common/lines.h"
#include "common/errors.h"
#include "common/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CLIENTS 64
// Reserved for root, whatever users do.
#define ROOT_RESERVE 8
#define MAX_CLIENTS_OF_A_USER 16
// Users without permission get places of their own, where a newcomer replaces the oldest.
#define MAX_REFUSED 16
// From the connection, or the last answer, until the next line is whole.
#define LINE_MS 10000
#define REFUSED_LINE_MS 1000
#define ACCEPTED_IN_A_TURN 16
#define MAX_PARTS 8
#define IDLE_MS 10000

struct client {
  int fd;
  struct peer peer;
  // The error that it gets instead of service; NULL if it may ask. Sent after its first line, so that it reads the error: data for a client
  // that still writes is lost when the connection closes.
  const char *refusal;
  int64_t deadline_ms;
  struct lines lines;
};

// The oldest first.
struct room {
  struct client clients[MAX_CLIENTS];
  size_t count;
};

static struct room served, refused;

static void client_close(struct room *room, size_t index) {
  close(room->clients[index].fd);
  room->count--;
  memmove(&room->clients[index], &room->clients[index + 1], (room->count - index) * sizeof *room->clients);
}

// Returns whether the client accepts the reply.
static bool tell(int fd, const char *text, size_t length) { return send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length; }

static bool run_lines(struct client *client) {
  char line[LINE_BYTES];
  bool is_text;
  while (lines_take(&client->lines, line, &is_text)) {
    size_t length;
    if (!is_text) return false;
    if (client->refusal != NULL) {
      tell(client->fd, client->refusal, strlen(client->refusal));
      return false;
    }
    const char *answer = dispatch(&client->peer, line, &length);
    if (!tell(client->fd, answer, length)) return false;
    client->deadline_ms = monotonic_ms() + LINE_MS;
  }
  return true;
}

// Returns whether the client stays. A line that is too long ends the connection: no client of banger sends one.
static bool client_read(struct client *client) {
  return lines_read(&client->lines, client->fd) && run_lines(client) && !lines_too_long(&client->lines);
}

// A user may have one more as long as more are left than it has; root always may.
static bool has_room(uid_t uid) {
  size_t own = 0;
  for (size_t i = 0; i < served.count; i++) own += served.clients[i].peer.uid == uid;
  if (uid == 0) return served.count < MAX_CLIENTS;
  size_t taken = served.count + ROOT_RESERVE;
  return own < MAX_CLIENTS_OF_A_USER && taken < MAX_CLIENTS && own < MAX_CLIENTS - taken;
}

static const char *obstacle(const struct peer *peer) {
  // Read for each connection: a user who was admitted a moment ago may connect at once.
  if (settings_read() != 0) {
    fprintf(stderr, "the settings cannot be used: %s\n", strerror(errno));
    if (peer->uid != 0) return "error ECONNREFUSED the helper's settings cannot be used\n";
  }
  if (!peer_allowed(peer->uid)) return "error ECONNREFUSED this user may not use banger-helper\n";
  return NULL;
}

// A user that has its share of connections loses its own oldest.
static bool make_room(uid_t uid) {
  if (has_room(uid)) return true;
  for (size_t i = 0; i < served.count; i++) {
    if (served.clients[i].peer.uid != uid) continue;
    client_close(&served, i);
    return true;
  }
  return false;
}

static void take_in(int fd, const struct peer *peer) {
  const char *why = obstacle(peer);
  struct room *room = why == NULL ? &served : &refused;
  if (why == NULL && !make_room(peer->uid)) {
    close(fd);
    return;
  }
  if (why != NULL && refused.count == MAX_REFUSED) client_close(&refused, 0);
  int buffer = SEND_BUFFER_BYTES;
  if (why == NULL) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  int64_t deadline_ms = monotonic_ms() + (why == NULL ? LINE_MS : REFUSED_LINE_MS);
  room->clients[room->count++] = (struct client){.fd = fd, .peer = *peer, .refusal = why, .deadline_ms = deadline_ms};
}

static void accept_clients(int listener) {
  for (int i = 0; i < ACCEPTED_IN_A_TURN; i++) {
    struct peer peer;
    int fd = lines_accept(listener);
    if (fd < 0) return;
    if (peer_of_socket(fd, &peer) == 0) take_in(fd, &peer);
    else close(fd);
  }
}

static int shorter(int a, int b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

struct waiting {
  struct pollfd descriptors[2 + MAX_CLIENTS + MAX_REFUSED + MAX_PARTS * PART_DESCRIPTORS];
  nfds_t count;
  int timeout_ms;
  bool idle;
};

static void wait_for(struct waiting *waiting, const struct room *room, int64_t now) {
  for (size_t i = 0; i < room->count; i++) {
    int64_t left = room->clients[i].deadline_ms - now;
    waiting->descriptors[waiting->count++] = (struct pollfd){.fd = room->clients[i].fd, .events = POLLIN};
    waiting->timeout_ms = shorter(waiting->timeout_ms, left > 0 ? (int)left : 0);
  }
}

static void prepare(struct waiting *waiting, int listener, int signals, bool activated) {
  const struct part *const *parts;
  size_t part_count = dispatch_parts(&parts);
  waiting->descriptors[0] = (struct pollfd){.fd = signals, .events = POLLIN};
  waiting->descriptors[1] = (struct pollfd){.fd = listener, .events = POLLIN};
  waiting->count = 2;
  waiting->idle = activated && served.count == 0 && refused.count == 0 && record_empty();
  waiting->timeout_ms = waiting->idle ? IDLE_MS : -1;
  wait_for(waiting, &served, monotonic_ms());
  wait_for(waiting, &refused, monotonic_ms());
  for (size_t i = 0; i < part_count && i < MAX_PARTS; i++) {
    if (parts[i]->descriptors != NULL) waiting->count += (nfds_t)parts[i]->descriptors(waiting->descriptors + waiting->count);
    if (parts[i]->timeout_ms != NULL) waiting->timeout_ms = shorter(waiting->timeout_ms, parts[i]->timeout_ms());
  }
}

// From the last to the first, because closing moves those behind. `ready`: events of the clients of this room, in their order.
static void serve_room(struct room *room, const struct pollfd *ready, size_t known) {
  for (size_t i = known; i-- > 0;) {
    bool stays = ready[i].revents == 0 || client_read(&room->clients[i]);
    // A request takes time, and clients that waited meanwhile are not late.
    if (!stays || (ready[i].revents == 0 && monotonic_ms() >= room->clients[i].deadline_ms)) client_close(room, i);
  }
}

static void tick_parts(void) {
  const struct part *const *parts;
  size_t count = dispatch_parts(&parts);
  for (size_t i = 0; i < count; i++)
    if (parts[i]->tick != NULL) parts[i]->tick();
}

int serve(int listener, bool activated) {
  // systemd passes blocking sockets (systemd.service(5), NonBlocking=); a check for one more client must return.
  fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
  static struct waiting waiting;
  int signals = signals_of_end();
  for (;;) {
    prepare(&waiting, listener, signals, activated);
    size_t known = served.count, known_refused = refused.count;
    int ready = poll(waiting.descriptors, waiting.count, waiting.timeout_ms);
    if (ready < 0 && errno != EINTR) return -1;
    // A later client makes systemd start another helper.
    if (ready == 0 && waiting.idle && waiting.timeout_ms == IDLE_MS) return 0;
    if (ready > 0 && waiting.descriptors[0].revents != 0) return 0;
    if (ready >= 0) serve_room(&served, waiting.descriptors + 2, known);
    if (ready >= 0) serve_room(&refused, waiting.descriptors + 2 + known, known_refused);
    if (ready > 0 && waiting.descriptors[1].revents != 0) accept_clients(listener);
    tick_parts();
  }
}
