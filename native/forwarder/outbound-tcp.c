// Connections that guests open. The forwarder holds a guest's SYN until the outside has accepted, then writes it back to the uplink, where
// the namespace's rules redirect it to a transparent listener. So the guest sees a refusal as a refusal, and both halves of a connection
// use the kernel's own TCP. From there on tcp.c moves the bytes.
#include "forwarder.h"
#include "names.h"
#include "packet.h"
#include "shares.h"
#include "common/clock.h"
#include "common/errors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUCKETS 1024
// A guest answers within microseconds; a guest that has ended must not keep a connection to the outside.
#define ACCEPT_MS 10000
// A guest repeats its SYN for two minutes, and each SYN begins a new attempt. An attempt that the outside does not answer makes room
// meanwhile.
#define ATTEMPT_MS 15000

struct attempt {
  struct source source;
  struct sockaddr_in guest, target;
  bool connected;
  // Since when it waits: for the outside, and once connected, for the guest.
  int64_t since_ms;
  struct attempt *next;
  size_t length;
  uint8_t syn[];
};

static struct attempt *buckets[BUCKETS];
static unsigned attempt_count;
static struct source listener = {.fd = -1};
static bool paused;
static uint8_t made[PACKET_BYTES];

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b) {
  return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

static struct attempt **bucket_of(const struct sockaddr_in *guest) {
  return &buckets[(ntohl(guest->sin_addr.s_addr) * 31 + ntohs(guest->sin_port)) % BUCKETS];
}

static struct attempt *find(const struct sockaddr_in *guest, const struct sockaddr_in *target) {
  for (struct attempt *a = *bucket_of(guest); a != NULL; a = a->next)
    if (same(&a->guest, guest) && same(&a->target, target)) return a;
  return NULL;
}

static void attempt_end(struct attempt *attempt) {
  struct attempt **at = bucket_of(&attempt->guest);
  while (*at != attempt) at = &(*at)->next;
  *at = attempt->next;
  attempt_count--;
  share_give_back(party_of_guest(attempt->guest.sin_addr), SHARE_TCP_ATTEMPTS);
  loop_close(&attempt->source);
  loop_free_later(attempt);
}

static void refuse(const struct packet *syn, int error) {
  size_t length;
  if (error == ECONNREFUSED || error == ECONNRESET) length = packet_make_reset(made, syn);
  else length = packet_make_unreachable(made, syn, error == EACCES ? UNREACHABLE_PROHIBITED : UNREACHABLE_HOST);
  uplink_write(made, length);
}

static void on_outside(struct source *source, uint32_t events) {
  struct attempt *attempt = (struct attempt *)source;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0 && !attempt->connected) {
    struct packet syn;
    if (packet_parse(attempt->syn, attempt->length, &syn)) refuse(&syn, error);
  }
  if (error != 0) {
    attempt_end(attempt);
  } else if ((events & EPOLLOUT) != 0 && !attempt->connected) {
    attempt->connected = true;
    attempt->since_ms = monotonic_ms();
    uplink_write(attempt->syn, attempt->length);
  }
}

static int connect_outside(const struct endpoint *endpoint) {
  int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) == 0 || errno == EINPROGRESS) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

void outbound_tcp_open(const struct packet *packet) {
  const struct sockaddr_in *guest = &packet->source, *target = &packet->destination;
  struct attempt *known = find(guest, target);
  if (known != NULL) {
    if (known->connected) uplink_write(known->syn, known->length);
    return;
  }
  if (tcp_is_open(guest, target)) {
    // The guest forgot a connection that is still open here: the kernel's TCP sends the right answer.
    uplink_write(packet->bytes, packet->length);
    return;
  }
  // If there is no room, the guest asks again after a second.
  party_id party = party_of_guest(guest->sin_addr);
  int64_t now = monotonic_ms();
  if (!share_has_room(party, SHARE_TCP_OUT) || !share_has_room(party, SHARE_TCP_ATTEMPTS) || !share_may_open(guest->sin_addr, now)) return;
  struct endpoint endpoint;
  if (!outside_endpoint(target, *share_nameserver(guest->sin_addr), &endpoint)) {
    refuse(packet, EACCES);
    return;
  }
  int fd = connect_outside(&endpoint);
  if (fd < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) refuse(packet, errno);
    return;
  }
  struct attempt *attempt = calloc(1, sizeof *attempt + packet->length);
  if (attempt == NULL || !share_take(party, SHARE_TCP_ATTEMPTS)) {
    free(attempt);
    close(fd);
    return;
  }
  attempt->source = (struct source){.fd = fd, .handle = on_outside};
  attempt->guest = *guest;
  attempt->target = *target;
  attempt->since_ms = now;
  attempt->length = packet->length;
  memcpy(attempt->syn, packet->bytes, packet->length);
  attempt->next = *bucket_of(guest);
  *bucket_of(guest) = attempt;
  attempt_count++;
  if (loop_add(&attempt->source, EPOLLOUT | EPOLLET) != 0) attempt_end(attempt);
}

static void join(int fd, const struct sockaddr_in *guest, const struct sockaddr_in *target) {
  struct attempt *attempt = find(guest, target);
  if (attempt == NULL || !attempt->connected) {
    tcp_refuse(fd);
    return;
  }
  int outside = loop_release(&attempt->source);
  attempt_end(attempt);
  if (outside_is_names(target)) names_connection(fd, outside, guest, target);
  else tcp_join(fd, outside, guest, target);
}

static void on_guest(struct source *source, uint32_t events) {
  (void)events;
  for (int i = 0; i < 64; i++) {
    struct sockaddr_in guest, target;
    socklen_t guest_length = sizeof guest, target_length = sizeof target;
    int fd = accept4(source->fd, (struct sockaddr *)&guest, &guest_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        loop_mute(source);
        paused = true;
      }
      return;
    }
    // The address of a socket that a transparent listener accepts is the destination of the guest.
    if (getsockname(fd, (struct sockaddr *)&target, &target_length) == 0) join(fd, &guest, &target);
    else tcp_refuse(fd);
  }
}

int outbound_tcp_start(void) {
  listener = (struct source){.fd = inner_listener(), .handle = on_guest};
  return listener.fd < 0 ? -1 : loop_add(&listener, EPOLLIN);
}

unsigned outbound_tcp_attempts(void) { return attempt_count; }
bool outbound_tcp_waiting(void) { return paused || attempt_count > 0; }

void outbound_tcp_tick(int64_t now) {
  if (paused) loop_add(&listener, EPOLLIN);
  paused = false;
  for (int i = 0; i < BUCKETS && attempt_count > 0; i++) {
    for (struct attempt *a = buckets[i], *next; a != NULL; a = next) {
      next = a->next;
      if (now - a->since_ms > (a->connected ? ACCEPT_MS : ATTEMPT_MS)) attempt_end(a);
    }
  }
}

void outbound_tcp_forget(struct in_addr guest) {
  for (int i = 0; i < BUCKETS && attempt_count > 0; i++) {
    for (struct attempt *a = buckets[i], *next; a != NULL; a = next) {
      next = a->next;
      if (a->guest.sin_addr.s_addr == guest.s_addr) attempt_end(a);
    }
  }
}
