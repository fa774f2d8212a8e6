#define _GNU_SOURCE
#include "banger-helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES 256
#define MAX_CLIENTS 64
#define MAX_CLIENTS_OF_A_USER 16
#define MAX_PARTS 8
// Enough for any answer, so that a client that does not read holds up nobody.
#define SEND_BUFFER_BYTES (1024 * 1024)
#define IDLE_MS 30000

struct client {
  int fd;
  struct peer peer;
  // What it is told instead of being served; NULL when it may ask. Told after its first line, so that it reads it: what is
  // said to somebody who still writes is lost when the connection closes.
  const char *refusal;
  char line[LINE_BYTES];
  size_t length;
};

static struct client clients[MAX_CLIENTS];
static size_t client_count;

static void client_close(struct client *client) {
  close(client->fd);
  *client = clients[--client_count];
}

// Returns whether the client takes what is said to it.
static bool tell(int fd, const char *text, size_t length) { return send(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length; }

static bool run_lines(struct client *client) {
  char *end;
  while ((end = memchr(client->line, '\n', client->length)) != NULL) {
    size_t used = (size_t)(end - client->line) + 1, length;
    if (memchr(client->line, '\0', used - 1) != NULL) return false;
    *end = '\0';
    if (client->refusal != NULL) {
      tell(client->fd, client->refusal, strlen(client->refusal));
      return false;
    }
    const char *answer = dispatch(&client->peer, client->line, &length);
    if (!tell(client->fd, answer, length)) return false;
    memmove(client->line, client->line + used, client->length - used);
    client->length -= used;
  }
  return true;
}

// Returns whether the client stays.
static bool client_read(struct client *client) {
  ssize_t n = recv(client->fd, client->line + client->length, sizeof client->line - client->length, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  client->length += (size_t)n;
  // A line that is too long ends the connection: no client of banger's writes one.
  return run_lines(client) && client->length < sizeof client->line;
}

static size_t clients_of(uid_t uid) {
  size_t count = 0;
  for (size_t i = 0; i < client_count; i++) count += clients[i].peer.uid == uid;
  return count;
}

static const char *obstacle(const struct peer *peer) {
  // Read for each connection: who was let in a moment ago may come at once.
  if (settings_read() != 0) {
    fprintf(stderr, "the settings cannot be used: %s\n", strerror(errno));
    if (peer->uid != 0) return "error ECONNREFUSED the helper's settings cannot be used\n";
  }
  if (!peer_allowed(peer->uid)) return "error ECONNREFUSED this user may not use banger-helper\n";
  return NULL;
}

static void accept_client(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE) usleep(1000);
    return;
  }
  struct peer peer;
  int buffer = SEND_BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  bool room = client_count < MAX_CLIENTS && peer_of_socket(fd, &peer) == 0 && clients_of(peer.uid) < MAX_CLIENTS_OF_A_USER;
  if (room) clients[client_count++] = (struct client){.fd = fd, .peer = peer, .refusal = obstacle(&peer)};
  else close(fd);
}

static int watch_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int shorter(int a, int b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

struct waiting {
  struct pollfd descriptors[2 + MAX_CLIENTS + MAX_PARTS * PART_DESCRIPTORS];
  nfds_t count;
  int timeout_ms;
  bool idle;
};

static void prepare(struct waiting *waiting, int listener, int signals, bool activated) {
  const struct part *const *parts;
  size_t part_count = dispatch_parts(&parts);
  waiting->descriptors[0] = (struct pollfd){.fd = signals, .events = POLLIN};
  waiting->descriptors[1] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (size_t i = 0; i < client_count; i++) waiting->descriptors[2 + i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
  waiting->count = 2 + client_count;
  waiting->idle = activated && client_count == 0 && record_empty();
  waiting->timeout_ms = waiting->idle ? IDLE_MS : -1;
  for (size_t i = 0; i < part_count && i < MAX_PARTS; i++) {
    if (parts[i]->descriptors != NULL) waiting->count += (nfds_t)parts[i]->descriptors(waiting->descriptors + waiting->count);
    if (parts[i]->timeout_ms != NULL) waiting->timeout_ms = shorter(waiting->timeout_ms, parts[i]->timeout_ms());
  }
}

static void tick_parts(void) {
  const struct part *const *parts;
  size_t count = dispatch_parts(&parts);
  for (size_t i = 0; i < count; i++)
    if (parts[i]->tick != NULL) parts[i]->tick();
}

int serve(int listener, bool activated) {
  static struct waiting waiting;
  int signals = watch_signals();
  for (;;) {
    prepare(&waiting, listener, signals, activated);
    size_t known = client_count;
    int ready = poll(waiting.descriptors, waiting.count, waiting.timeout_ms);
    if (ready < 0 && errno != EINTR) return -1;
    // Whoever connects from now on makes systemd start another one.
    if (ready == 0 && waiting.idle && waiting.timeout_ms == IDLE_MS) return 0;
    if (ready > 0 && waiting.descriptors[0].revents != 0) return 0;
    // From the last to the first: closing moves the last into the gap.
    for (size_t i = known; ready > 0 && i-- > 0;)
      if (waiting.descriptors[2 + i].revents != 0 && !client_read(&clients[i])) client_close(&clients[i]);
    if (ready > 0 && waiting.descriptors[1].revents != 0) accept_client(listener);
    tick_parts();
  }
}

int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  // Bound under another name and renamed, so that whoever finds the socket finds it ready.
  int n = snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path);
  if (n < 0 || (size_t)n >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  unlink(address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // Anybody may ask: who may have it is decided by the settings.
  mode_t before = umask(0111);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound == 0 && listen(fd, 64) == 0 && rename(address.sun_path, path) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}
