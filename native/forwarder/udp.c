// UDP flows: one connected socket inside the namespace for each client address; closed after a minute of silence.
#include "forwarder.h"
#include "peer.h"
#include "shares.h"
#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Datagrams served in one turn.
#define TURN_DATAGRAMS 64
// Another process may have taken over a client's port.
#define PEER_CHECK_MS 1000

struct udp_flow {
  struct source source;
  struct listener *listener;
  struct sockaddr_in client;
  int64_t last_used_ms, checked_ms;
  party_id peer;
  struct udp_flow *next;
};

static unsigned flow_count;
static char datagram[65536];

unsigned udp_flow_count(void) { return flow_count; }

static void on_guest_datagram(struct source *source, uint32_t events) {
  (void)events;
  struct udp_flow *flow = (struct udp_flow *)source;
  for (int i = 0; i < TURN_DATAGRAMS; i++) {
    ssize_t n = recv(source->fd, datagram, sizeof datagram, MSG_DONTWAIT);
    // ECONNREFUSED reports an ICMP message, and reading consumes it; the guest may listen again later.
    if (n < 0) {
      if (errno == ECONNREFUSED || errno == EINTR) continue;
      return;
    }
    flow->last_used_ms = monotonic_ms();
    // Full buffers drop datagrams, as a network does.
    sendto(flow->listener->source.fd, datagram, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&flow->client, sizeof flow->client);
  }
}

static void flow_end(struct udp_flow *flow) {
  share_give_back(party_of_guest(flow->listener->guest.sin_addr), SHARE_UDP_IN);
  share_give_back(flow->peer, SHARE_UDP_IN);
  loop_close(&flow->source);
  loop_free_later(flow);
  flow_count--;
}

// Busy flows are at the front, so the last one has been silent the longest.
static void end_last(struct udp_flow **at) {
  if (*at == NULL) return;
  while ((*at)->next != NULL) at = &(*at)->next;
  struct udp_flow *last = *at;
  *at = NULL;
  flow_end(last);
}

static struct udp_flow *find(struct listener *listener, const struct sockaddr_in *client) {
  for (struct udp_flow **at = &listener->flows; *at != NULL; at = &(*at)->next) {
    struct udp_flow *flow = *at;
    if (flow->client.sin_addr.s_addr != client->sin_addr.s_addr || flow->client.sin_port != client->sin_port) continue;
    *at = flow->next;
    flow->next = listener->flows;
    listener->flows = flow;
    return flow;
  }
  return NULL;
}

static struct udp_flow *flow_open(struct listener *listener, const struct sockaddr_in *client, party_id peer) {
  party_id guest = party_of_guest(listener->guest.sin_addr);
  if (!share_has_room(guest, SHARE_UDP_IN)) end_last(&listener->flows);
  if (!share_has_room(guest, SHARE_UDP_IN) || !share_has_room(peer, SHARE_UDP_IN)) return NULL;
  struct udp_flow *flow = calloc(1, sizeof *flow);
  if (flow == NULL) return NULL;
  flow->source = (struct source){.fd = inner_socket(SOCK_DGRAM), .handle = on_guest_datagram};
  flow->listener = listener;
  flow->client = *client;
  flow->peer = peer;
  if (flow->source.fd < 0 || connect(flow->source.fd, (const struct sockaddr *)&listener->guest, sizeof listener->guest) != 0 ||
      !share_take(guest, SHARE_UDP_IN) || loop_add(&flow->source, EPOLLIN) != 0) {
    if (flow->source.fd >= 0) close(flow->source.fd);
    free(flow);
    return NULL;
  }
  share_take(peer, SHARE_UDP_IN);
  flow_count++;
  flow->next = listener->flows;
  listener->flows = flow;
  return flow;
}

// The flow of a client that may use the listener; NULL if it may not, or there is no room.
static struct udp_flow *flow_of(struct listener *listener, const struct sockaddr_in *client, int64_t now) {
  struct udp_flow *flow = find(listener, client);
  party_id peer = flow == NULL ? NOBODY : flow->peer;
  if (flow == NULL || now - flow->checked_ms >= PEER_CHECK_MS) {
    if (!peer_admit(SOCK_DGRAM, client, &listener->host, &peer)) return NULL;
    if (flow == NULL) flow = flow_open(listener, client, peer);
    if (flow != NULL) flow->checked_ms = now;
  }
  return flow;
}

void udp_receive(struct source *source, uint32_t events) {
  (void)events;
  struct listener *listener = (struct listener *)source;
  for (int i = 0; i < TURN_DATAGRAMS; i++) {
    struct sockaddr_in client;
    socklen_t length = sizeof client;
    ssize_t n = recvfrom(source->fd, datagram, sizeof datagram, MSG_DONTWAIT, (struct sockaddr *)&client, &length);
    if (n < 0) {
      if (errno == ECONNREFUSED || errno == EINTR) continue;
      return;
    }
    int64_t now = monotonic_ms();
    struct udp_flow *flow = flow_of(listener, &client, now);
    if (flow == NULL) continue;
    flow->last_used_ms = now;
    send(flow->source.fd, datagram, (size_t)n, MSG_DONTWAIT);
  }
}

void udp_close_flows(struct listener *listener) {
  while (listener->flows != NULL) {
    struct udp_flow *flow = listener->flows;
    listener->flows = flow->next;
    flow_end(flow);
  }
}

void udp_tick(struct listener *listener, int64_t now) {
  struct udp_flow **at = &listener->flows;
  while (*at != NULL) {
    struct udp_flow *flow = *at;
    if (now - flow->last_used_ms < UDP_IDLE_SECONDS * 1000) {
      at = &flow->next;
      continue;
    }
    *at = flow->next;
    flow_end(flow);
  }
}
