// TCP flows: splice(2) moves bytes from socket to socket through a pipe, and they never enter this process. A flow only borrows a pipe
// while it holds bytes, so an idle connection costs two descriptors and no pipe memory.
#include "forwarder.h"
#include "peer.h"
#include "shares.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES (256 * 1024)
#define KEPT_PIPES 16
// After this many bytes, other flows get their turn.
#define TURN_BYTES (4 * 1024 * 1024)
#define BUCKETS 4096

struct direction {
  int pipe[2];  // -1 while no bytes are in transit
  size_t pending;
  bool end_of_input;
  bool finished;
};

struct flow;
struct side {
  struct source source;
  struct flow *flow;
};

struct flow {
  struct side client, guest;
  struct direction up, down;
  // The destination of a guest; for a connection that the host opened, only the guest's address.
  struct sockaddr_in caller, called;
  bool connecting;
  bool queued;
  bool waits_for_pipe;
  struct flow *next_queued;
  struct flow *next, *previous;
  // The parties to charge: the guest and its peer.
  enum share share;
  party_id peer;
  // The next flow whose guest endpoint has the same hash.
  struct flow *next_called;
};

static struct flow *flows;
static unsigned flow_count;
static struct flow *called_from[BUCKETS];
static struct flow *queue;
static int free_pipes[KEPT_PIPES][2];
static int free_pipe_count;

unsigned tcp_flow_count(void) { return flow_count; }

static bool pipe_borrow(struct direction *d) {
  if (d->pipe[0] >= 0) return true;
  if (free_pipe_count > 0) {
    free_pipe_count--;
    d->pipe[0] = free_pipes[free_pipe_count][0];
    d->pipe[1] = free_pipes[free_pipe_count][1];
    return true;
  }
  if (pipe2(d->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
    d->pipe[0] = d->pipe[1] = -1;
    return false;
  }
  // The kernel refuses if the user has many pipes already; the default size works as well.
  fcntl(d->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
  return true;
}

static void pipe_give_back(struct direction *d) {
  if (d->pipe[0] < 0) return;
  if (d->pending == 0 && free_pipe_count < KEPT_PIPES) {
    free_pipes[free_pipe_count][0] = d->pipe[0];
    free_pipes[free_pipe_count][1] = d->pipe[1];
    free_pipe_count++;
  } else {
    close(d->pipe[0]);
    close(d->pipe[1]);
  }
  d->pipe[0] = d->pipe[1] = -1;
  d->pending = 0;
}

static void reset_on_close(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static struct flow **bucket_of(const struct sockaddr_in *caller) {
  return &called_from[(ntohl(caller->sin_addr.s_addr) * 31 + ntohs(caller->sin_port)) % BUCKETS];
}

// Removes the flow from its hash table and from the accounts.
static void flow_forget(struct flow *flow) {
  share_give_back(party_of_guest(flow->caller.sin_addr), flow->share);
  share_give_back(flow->peer, flow->share);
  if (flow->share != SHARE_TCP_OUT) return;
  struct flow **at = bucket_of(&flow->caller);
  while (*at != flow) at = &(*at)->next_called;
  *at = flow->next_called;
}

static void flow_close(struct flow *flow, bool reset) {
  if (reset) {
    reset_on_close(flow->client.source.fd);
    reset_on_close(flow->guest.source.fd);
  }
  loop_close(&flow->client.source);
  loop_close(&flow->guest.source);
  pipe_give_back(&flow->up);
  pipe_give_back(&flow->down);
  if (flow->queued) {
    struct flow **at = &queue;
    while (*at != NULL && *at != flow) at = &(*at)->next_queued;
    if (*at == flow) *at = flow->next_queued;
  }
  if (flow->previous != NULL) flow->previous->next = flow->next;
  else flows = flow->next;
  if (flow->next != NULL) flow->next->previous = flow->previous;
  flow_count--;
  flow_forget(flow);
  loop_free_later(flow);
}

static void enqueue(struct flow *flow) {
  if (flow->queued) return;
  flow->queued = true;
  flow->next_queued = queue;
  queue = flow;
}

enum moved { MOVED_ALL, MOVED_TURN, MOVED_NO_PIPE, MOVED_BROKEN };

// Moves as many bytes as possible from one socket to the other.
static enum moved pump(struct direction *d, int from, int to) {
  size_t turn = 0;
  while (!d->finished) {
    bool progress = false;
    if (!d->end_of_input && d->pending < PIPE_BYTES) {
      if (!pipe_borrow(d)) return MOVED_NO_PIPE;
      ssize_t n = splice(from, NULL, d->pipe[1], NULL, PIPE_BYTES - d->pending, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (n > 0) {
        d->pending += (size_t)n;
        progress = true;
      } else if (n == 0) {
        d->end_of_input = true;
      } else if (errno != EAGAIN && errno != EINTR) {
        return MOVED_BROKEN;
      }
    }
    if (d->pending > 0) {
      ssize_t n = splice(d->pipe[0], NULL, to, NULL, d->pending, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (n > 0) {
        d->pending -= (size_t)n;
        turn += (size_t)n;
        progress = true;
      } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return MOVED_BROKEN;
      }
    }
    if (d->end_of_input && d->pending == 0) {
      d->finished = true;
      shutdown(to, SHUT_WR);
    }
    if (!progress) break;
    if (turn >= TURN_BYTES && !d->finished) return MOVED_TURN;
  }
  if (d->pending == 0) pipe_give_back(d);
  return MOVED_ALL;
}

static void flow_serve(struct flow *flow) {
  if (flow->connecting) return;
  int client = flow->client.source.fd, guest = flow->guest.source.fd;
  enum moved up = pump(&flow->up, client, guest);
  enum moved down = up == MOVED_BROKEN ? MOVED_BROKEN : pump(&flow->down, guest, client);
  if (up == MOVED_BROKEN || down == MOVED_BROKEN) {
    flow_close(flow, true);
    return;
  }
  if (flow->up.finished && flow->down.finished) {
    flow_close(flow, false);
    return;
  }
  if (up == MOVED_TURN || down == MOVED_TURN) enqueue(flow);
  flow->waits_for_pipe = up == MOVED_NO_PIPE || down == MOVED_NO_PIPE;
  // The tick that ends the pause of the listeners also serves flows that wait for a pipe.
  if (flow->waits_for_pipe) listeners_pause();
}

bool tcp_work(void) {
  struct flow *ready = queue;
  queue = NULL;
  // Taken off the queue one by one, because serving one flow closes at most that flow.
  while (ready != NULL) {
    struct flow *next = ready->next_queued;
    ready->queued = false;
    flow_serve(ready);
    ready = next;
  }
  return queue != NULL;
}

void tcp_retry_waiting(void) {
  for (struct flow *flow = flows; flow != NULL; flow = flow->next)
    if (flow->waits_for_pipe) enqueue(flow);
}

static int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 ? errno : error;
}

static void on_side(struct source *source, uint32_t events) {
  struct side *side = (struct side *)source;
  struct flow *flow = side->flow;
  if (flow->connecting) {
    if (side != &flow->guest) {
      // The client gave up (reset) before the guest answered; its data and half-close wait in the socket.
      if ((events & EPOLLERR) != 0) flow_close(flow, true);
      return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 || socket_error(source->fd) != 0) {
      flow_close(flow, true);
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    flow->connecting = false;
  } else if ((events & EPOLLERR) != 0) {
    flow_close(flow, true);
    return;
  }
  flow_serve(flow);
}

static void tune(int fd) {
  int on = 1, idle = 60, interval = 20, probes = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void tcp_refuse(int fd) {
  reset_on_close(fd);
  close(fd);
}

// Adds a flow that is in no loop yet, on the accounts of the guest and the peer. On failure both sockets are closed.
static struct flow *flow_make(int client, int guest, struct in_addr address, enum share share, party_id peer) {
  bool peer_has_room = share_take(peer, share);
  bool has_room = peer_has_room && share_take(party_of_guest(address), share);
  struct flow *flow = has_room ? calloc(1, sizeof *flow) : NULL;
  if (flow == NULL) {
    if (has_room) share_give_back(party_of_guest(address), share);
    if (peer_has_room) share_give_back(peer, share);
    tcp_refuse(client);
    if (guest >= 0) tcp_refuse(guest);
    return NULL;
  }
  flow->share = share;
  flow->peer = peer;
  flow->caller.sin_addr = address;
  flow->client = (struct side){.source = {.fd = client, .handle = on_side}, .flow = flow};
  flow->guest = (struct side){.source = {.fd = guest, .handle = on_side}, .flow = flow};
  flow->up = flow->down = (struct direction){.pipe = {-1, -1}};
  flow->next = flows;
  if (flows != NULL) flows->previous = flow;
  flows = flow;
  flow_count++;
  return flow;
}

static void flow_start(struct flow *flow) {
  uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  tune(flow->client.source.fd);
  tune(flow->guest.source.fd);
  if (loop_add(&flow->client.source, events) != 0 || loop_add(&flow->guest.source, events) != 0) flow_close(flow, true);
}

static void flow_open(int client, const struct sockaddr_in *caller, const struct listener *listener) {
  struct sockaddr_in called;
  socklen_t length = sizeof called;
  party_id peer;
  if (getsockname(client, (struct sockaddr *)&called, &length) != 0 || !peer_admit(SOCK_STREAM, caller, &called, &peer)) {
    tcp_refuse(client);
    return;
  }
  struct flow *flow = flow_make(client, -1, listener->guest.sin_addr, SHARE_TCP_IN, peer);
  if (flow == NULL) return;
  flow->connecting = true;
  flow->guest.source.fd = inner_socket(SOCK_STREAM);
  int guest = flow->guest.source.fd;
  if (guest >= 0 && (connect(guest, (const struct sockaddr *)&listener->guest, sizeof listener->guest) == 0 || errno == EINPROGRESS)) flow_start(flow);
  else flow_close(flow, true);
}

bool tcp_is_open(const struct sockaddr_in *guest, const struct sockaddr_in *target) {
  for (const struct flow *flow = *bucket_of(guest); flow != NULL; flow = flow->next_called)
    if (flow->caller.sin_addr.s_addr == guest->sin_addr.s_addr && flow->caller.sin_port == guest->sin_port &&
        flow->called.sin_addr.s_addr == target->sin_addr.s_addr && flow->called.sin_port == target->sin_port)
      return true;
  return false;
}

void tcp_join(int guest_fd, int outside_fd, const struct sockaddr_in *guest, const struct sockaddr_in *target) {
  struct flow *flow = flow_make(outside_fd, guest_fd, guest->sin_addr, SHARE_TCP_OUT, NOBODY);
  if (flow == NULL) return;
  flow->caller = *guest;
  flow->called = *target;
  flow->next_called = *bucket_of(guest);
  *bucket_of(guest) = flow;
  flow_start(flow);
}

void tcp_accept(struct source *source, uint32_t events) {
  (void)events;
  const struct listener *listener = (struct listener *)source;
  for (int i = 0; i < 64; i++) {
    struct sockaddr_in caller;
    socklen_t length = sizeof caller;
    int client = accept4(source->fd, (struct sockaddr *)&caller, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      flow_open(client, &caller, listener);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) listeners_pause();
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return;
  }
}

void tcp_forget(struct in_addr guest) {
  struct flow *flow = flows;
  while (flow != NULL) {
    struct flow *next = flow->next;
    if (flow->caller.sin_addr.s_addr == guest.s_addr) flow_close(flow, true);
    flow = next;
  }
}
