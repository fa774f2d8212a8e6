// Listening sockets on the host's loopback addresses.
#include "forwarder.h"
#include "shares.h"
#include "common/constants.h"
#include "common/errors.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct listener *listeners;
static bool paused;

struct listener *listeners_first(void) { return listeners; }
bool listeners_paused(void) { return paused; }

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b) {
  return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

// Whether another listener here has the port on all addresses and this one on one of them, or the other way round.
static bool overlaps_own(int type, const struct sockaddr_in *host) {
  for (struct listener *l = listeners; l != NULL; l = l->next)
    if (l->type == type && l->host.sin_port == host->sin_port && (l->host.sin_addr.s_addr == 0) != (host->sin_addr.s_addr == 0)) return true;
  return false;
}

static int try_socket(int type, const struct sockaddr_in *host, bool beside_own) {
  int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1;
  // Only for TCP, where it skips TIME_WAIT; with UDP, two processes could share the port.
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (beside_own) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  bool bound = bind(fd, (const struct sockaddr *)host, sizeof *host) == 0;
  // Set after the bind, it lets no other process share this address, but permits another listener of this process beside it.
  if (bound) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bound && (type == SOCK_DGRAM || listen(fd, 1024) == 0)) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

// A port published on all addresses coexists with the same port on VMs' own addresses: the kernel prefers the exact one.
static int open_socket(int type, const struct sockaddr_in *host) {
  int fd = try_socket(type, host, false);
  return fd < 0 && errno == EADDRINUSE && overlaps_own(type, host) ? try_socket(type, host, true) : fd;
}

// Published ports do not count towards the limit of guests' ports, which are on 127.213.0.0/16.
static enum share account_of(const struct sockaddr_in *host) {
  return ntohl(host->sin_addr.s_addr) >> 16 == LOOPBACK_NETWORK >> 16 ? SHARE_LISTENERS : SHARE_PUBLISHED;
}

int listener_add(int type, void (*handle)(struct source *, uint32_t), const struct sockaddr_in *host, const struct sockaddr_in *guest) {
  for (struct listener *l = listeners; l != NULL; l = l->next) {
    if (l->type != type || !same(&l->host, host)) continue;
    if (same(&l->guest, guest)) return 0;
    errno = EADDRINUSE;
    return -1;
  }
  if (!share_take(party_of_guest(guest->sin_addr), account_of(host))) {
    errno = EMFILE;
    return -1;
  }
  struct listener *l = calloc(1, sizeof *l);
  if (l == NULL) {
    share_give_back(party_of_guest(guest->sin_addr), account_of(host));
    return -1;
  }
  l->source = (struct source){.fd = open_socket(type, host), .handle = handle};
  l->type = type;
  l->host = *host;
  l->guest = *guest;
  if (l->source.fd < 0 || (!paused && loop_add(&l->source, EPOLLIN) != 0)) {
    KEEPING_ERRNO({
      if (l->source.fd >= 0) close(l->source.fd);
      share_give_back(party_of_guest(guest->sin_addr), account_of(host));
      free(l);
    });
    return -1;
  }
  l->next = listeners;
  listeners = l;
  return 0;
}

static void unlink_listener(struct listener **at) {
  struct listener *l = *at;
  *at = l->next;
  udp_close_flows(l);
  loop_close(&l->source);
  share_give_back(party_of_guest(l->guest.sin_addr), account_of(&l->host));
  loop_free_later(l);
}

int listener_remove(int type, const struct sockaddr_in *host) {
  for (struct listener **at = &listeners; *at != NULL; at = &(*at)->next) {
    if ((*at)->type != type || !same(&(*at)->host, host)) continue;
    unlink_listener(at);
    return 0;
  }
  errno = ENOENT;
  return -1;
}

void listeners_forget(struct in_addr guest) {
  struct listener **at = &listeners;
  while (*at != NULL) {
    if ((*at)->guest.sin_addr.s_addr == guest.s_addr) unlink_listener(at);
    else at = &(*at)->next;
  }
}

void listeners_pause(void) {
  if (paused) return;
  paused = true;
  for (struct listener *l = listeners; l != NULL; l = l->next)
    if (l->type == SOCK_STREAM) loop_mute(&l->source);
}

bool listeners_tick(int64_t now) {
  bool was_paused = paused;
  for (struct listener *l = listeners; l != NULL; l = l->next) {
    if (l->type == SOCK_DGRAM) udp_tick(l, now);
    if (paused) loop_add(&l->source, EPOLLIN);
  }
  paused = false;
  return was_paused;
}
