// Datagrams and pings of guests: one connected socket for each pair of endpoints, in the host's network.
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
#define TURN_DATAGRAMS 64
#define NAMES_IDLE_MS 10000
// A question that is repeated after this long was not answered; resolvers wait at least a second.
#define NAMES_RETRY_MS 900

struct flow {
  struct source source;
  uint8_t protocol;
  struct sockaddr_in guest, target;
  bool answered;
  unsigned nameserver;
  int64_t last_sent_ms, last_used_ms;
  struct flow *next;
};

// By the guest's endpoint only, to find all flows of one guest socket.
static struct flow *buckets[BUCKETS];
static unsigned flow_count;
static uint8_t made[PACKET_BYTES];

unsigned outbound_datagram_count(void) { return flow_count; }

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b) {
  return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

static struct flow **bucket_of(const struct sockaddr_in *guest) {
  return &buckets[(ntohl(guest->sin_addr.s_addr) * 31 + ntohs(guest->sin_port)) % BUCKETS];
}

static void flow_end(struct flow *flow) {
  struct flow **at = bucket_of(&flow->guest);
  while (*at != flow) at = &(*at)->next;
  *at = flow->next;
  flow_count--;
  share_give_back(party_of_guest(flow->guest.sin_addr), SHARE_UDP_OUT);
  loop_close(&flow->source);
  loop_free_later(flow);
}

// The guest's next question goes to the next server; other guests are not affected.
static void nameserver_failed(const struct flow *flow) {
  unsigned *current = share_nameserver(flow->guest.sin_addr);
  if (*current == flow->nameserver) (*current)++;
}

static void tell_port_unreachable(const struct flow *flow) {
  uint8_t sent[IP_HEADER_BYTES + UDP_HEADER_BYTES];
  struct packet packet;
  // The datagram is gone, but the guest only looks at its addresses and ports.
  size_t length = packet_make_udp(sent, &flow->guest, &flow->target, 0);
  if (packet_parse(sent, length, &packet)) uplink_write(made, packet_make_unreachable(made, &packet, UNREACHABLE_PORT));
}

static void on_answer(struct source *source, uint32_t events) {
  (void)events;
  struct flow *flow = (struct flow *)source;
  bool ping = flow->protocol == IPPROTO_ICMP;
  size_t headers = IP_HEADER_BYTES + (ping ? 0 : UDP_HEADER_BYTES);
  for (int i = 0; i < TURN_DATAGRAMS; i++) {
    ssize_t n = recv(source->fd, made + headers, sizeof made - headers, MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == ECONNREFUSED && !ping) {
        tell_port_unreachable(flow);
        continue;
      }
      if (errno == EAGAIN) return;
      // Other network errors are read once, and may pass.
      continue;
    }
    if (ping && n < ICMP_HEADER_BYTES) continue;
    flow->answered = true;
    flow->last_used_ms = monotonic_ms();
    size_t length = ping ? packet_make_echo_reply(made, &flow->target, &flow->guest, (size_t)n)
                         : packet_make_udp(made, &flow->target, &flow->guest, (size_t)n);
    uplink_write(made, length);
  }
}

// All flows of one guest socket leave from one port, so that peers that exchange their addresses can reach it.
static void share_port(int fd, int family, const struct sockaddr_in *guest) {
  struct sockaddr_storage own = {0};
  socklen_t length = sizeof own;
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  in_port_t port = 0;
  for (struct flow *f = *bucket_of(guest); f != NULL && port == 0; f = f->next) {
    length = sizeof own;
    if (f->protocol != IPPROTO_UDP || !same(&f->guest, guest) || getsockname(f->source.fd, (struct sockaddr *)&own, &length) != 0) continue;
    if (own.ss_family == family && family == AF_INET) port = ((struct sockaddr_in *)&own)->sin_port;
  }
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = port};
  // Otherwise the kernel chooses a port, which works as well.
  if (port != 0) bind(fd, (struct sockaddr *)&any, sizeof any);
}

static int open_socket(const struct packet *packet, const struct endpoint *endpoint) {
  int family = endpoint->address.ss_family;
  bool ping = packet->protocol == IPPROTO_ICMP;
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, ping ? IPPROTO_ICMP : 0);
  if (fd < 0) return -1;
  if (!ping) share_port(fd, family, &packet->source);
  if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

static struct flow *flow_open(const struct packet *packet) {
  struct endpoint endpoint;
  struct in_addr guest = packet->source.sin_addr;
  unsigned nameserver = *share_nameserver(guest);
  if (!share_has_room(party_of_guest(guest), SHARE_UDP_OUT) || !share_may_open(guest, monotonic_ms())) return NULL;
  if (!outside_endpoint(&packet->destination, nameserver, &endpoint)) {
    uplink_write(made, packet_make_unreachable(made, packet, UNREACHABLE_PROHIBITED));
    return NULL;
  }
  int fd = open_socket(packet, &endpoint);
  struct flow *flow = fd < 0 ? NULL : calloc(1, sizeof *flow);
  if (flow == NULL || !share_take(party_of_guest(guest), SHARE_UDP_OUT)) {
    free(flow);
    if (fd >= 0) close(fd);
    else if (errno == ENETUNREACH || errno == EHOSTUNREACH) uplink_write(made, packet_make_unreachable(made, packet, UNREACHABLE_HOST));
    return NULL;
  }
  *flow = (struct flow){.source = {.fd = fd, .handle = on_answer}, .protocol = packet->protocol, .nameserver = nameserver};
  flow->guest = packet->source;
  flow->target = packet->destination;
  flow->next = *bucket_of(&flow->guest);
  *bucket_of(&flow->guest) = flow;
  flow_count++;
  if (loop_add(&flow->source, EPOLLIN) == 0) return flow;
  flow_end(flow);
  return NULL;
}

static struct flow *find(const struct packet *packet) {
  for (struct flow *f = *bucket_of(&packet->source); f != NULL; f = f->next)
    if (f->protocol == packet->protocol && same(&f->guest, &packet->source) && same(&f->target, &packet->destination)) return f;
  return NULL;
}

// Returns whether it was a question that this server answers.
static bool answer_about_guests(const struct packet *packet) {
  if (packet->protocol != IPPROTO_UDP || !outside_is_names(&packet->destination)) return false;
  size_t length = names_answer(packet->body + UDP_HEADER_BYTES, packet->body_length - UDP_HEADER_BYTES, made + IP_HEADER_BYTES + UDP_HEADER_BYTES);
  if (length > 0) uplink_write(made, packet_make_udp(made, &packet->destination, &packet->source, length));
  return length > 0;
}

void outbound_datagram(const struct packet *packet) {
  if (answer_about_guests(packet)) return;
  int64_t now = monotonic_ms();
  struct flow *flow = find(packet);
  if (flow != NULL && !flow->answered && outside_is_names(&flow->target) && now - flow->last_sent_ms > NAMES_RETRY_MS) {
    nameserver_failed(flow);
    flow_end(flow);
    flow = NULL;
  }
  if (flow == NULL) flow = flow_open(packet);
  if (flow == NULL) return;
  flow->last_sent_ms = flow->last_used_ms = now;
  size_t header = packet->protocol == IPPROTO_ICMP ? 0 : UDP_HEADER_BYTES;
  ssize_t n = send(flow->source.fd, packet->body + header, packet->body_length - header, MSG_DONTWAIT);
  if (n >= 0 || errno != ECONNREFUSED) return;
  // The error belongs to an earlier datagram and is reported; this one is sent.
  if (packet->protocol == IPPROTO_UDP) tell_port_unreachable(flow);
  n = send(flow->source.fd, packet->body + header, packet->body_length - header, MSG_DONTWAIT);
}

void outbound_datagram_tick(int64_t now) {
  for (int i = 0; i < BUCKETS && flow_count > 0; i++) {
    for (struct flow *f = buckets[i], *next; f != NULL; f = next) {
      next = f->next;
      bool names = outside_is_names(&f->target);
      if (now - f->last_used_ms < (names ? NAMES_IDLE_MS : UDP_IDLE_SECONDS * 1000)) continue;
      if (names && !f->answered) nameserver_failed(f);
      flow_end(f);
    }
  }
}

void outbound_datagram_recheck(void) {
  struct endpoint endpoint;
  for (int i = 0; i < BUCKETS && flow_count > 0; i++) {
    for (struct flow *f = buckets[i], *next; f != NULL; f = next) {
      next = f->next;
      if (!outside_endpoint(&f->target, f->nameserver, &endpoint)) flow_end(f);
    }
  }
}

void outbound_datagram_forget(struct in_addr guest) {
  for (int i = 0; i < BUCKETS && flow_count > 0; i++) {
    for (struct flow *f = buckets[i], *next; f != NULL; f = next) {
      next = f->next;
      if (f->guest.sin_addr.s_addr == guest.s_addr) flow_end(f);
    }
  }
}
