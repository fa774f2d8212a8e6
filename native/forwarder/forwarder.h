// banger-forwarder: holds the private network namespace and joins it to the host's loopback addresses.
// See main.c for the processes and control.c for the control protocol.
#ifndef FORWARDER_H
#define FORWARDER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FORWARDER_VERSION 4
#define UDP_IDLE_SECONDS 60

// --- loop.c: one epoll loop, edge-triggered or level-triggered as each source asks ---

struct source {
  int fd;
  void (*handle)(struct source *source, uint32_t events);
};

void loop_init(void);
// Adds source->fd; returns 0, or -1 with errno.
int loop_add(struct source *source, uint32_t events);
// Takes the fd out of the loop and closes it; the rest of the round delivers no events for it.
void loop_close(struct source *source);
// The same, but returns the fd instead of closing it.
int loop_release(struct source *source);
// No more events until it is added again; adding a present source is harmless.
void loop_mute(struct source *source);
// Frees memory to which an event of this round may still refer.
void loop_free_later(void *memory);
// Frees all of it at once, after the loop has ended.
void loop_free_rest(void);
// Calls `tick` about once a second as long as `needed` returns true, and `work` until it returns false.
void loop_run(void (*tick)(int64_t now_ms), bool (*tick_needed)(void), bool (*work)(void));
void loop_stop(void);

// --- inner.c: the half inside the namespace ---

struct bridge_settings {
  struct in_addr address;
  int prefix_length;
  // The address where guests ask for names; leads to the host's name server.
  struct in_addr names;
};

// Runs in the forked child; never returns. Sends "ok" or an error text on `channel` once set up.
_Noreturn void inner_main(int channel, const struct bridge_settings *bridge);
// Tries the set-up in this process and executes argv in it; returns only on failure (status in main.c).
int inner_probe(const struct bridge_settings *bridge, char **argv);
// Called by the outer half: a new socket that lives in the namespace, or here if there is none; -1 with errno.
int inner_socket(int type);
// The uplink's TUN device, and the listener for connections that guests open; each can be requested once. -1 with errno.
int inner_uplink(void);
int inner_listener(void);
// Runs one command inside ("tap add NAME" …); the reply is one or more lines. Returns 0, or -1 with errno (ENODEV: no inner half).
int inner_command(const char *line, char *reply, size_t reply_size);
void inner_attach_channel(int channel);

// --- guest-network.c: the bridge and a TAP on it, in the caller's namespace; both return 0, or -1 with errno ---

int links_setup(const struct bridge_settings *bridge);
int tap_add(const char *name);

// --- uplink-setup.c, likewise ---

// Connects the namespace to a TUN device; returns it, or -1 with errno.
int uplink_setup(void);
// Returns the transparent listener, or -1 with errno.
int outbound_listener(void);

// --- listeners.c ---

struct listener {
  struct source source;
  int type;  // SOCK_STREAM or SOCK_DGRAM
  struct sockaddr_in host;
  struct sockaddr_in guest;
  struct udp_flow *flows;
  struct listener *next;
};

// `handle` gets the clients. Returns 0, or -1 with errno; an identical listener is no error.
int listener_add(int type, void (*handle)(struct source *, uint32_t), const struct sockaddr_in *host, const struct sockaddr_in *guest);
int listener_remove(int type, const struct sockaddr_in *host);
// Closes the listeners of one guest.
void listeners_forget(struct in_addr guest);
struct listener *listeners_first(void);
// Returns whether a pause ended.
bool listeners_tick(int64_t now);
bool listeners_paused(void);
// No descriptor is left: stop accepting until the next tick instead of spinning.
void listeners_pause(void);

// --- tcp.c, udp.c ---

void tcp_accept(struct source *source, uint32_t events);
bool tcp_work(void);
void tcp_forget(struct in_addr guest);
// Flows that found no descriptor for a pipe try again.
void tcp_retry_waiting(void);
unsigned tcp_flow_count(void);
// Whether exactly this connection of a guest is open.
bool tcp_is_open(const struct sockaddr_in *guest, const struct sockaddr_in *target);
// From now on moves bytes between two connected sockets; closes them itself, also on failure.
void tcp_join(int guest_fd, int outside_fd, const struct sockaddr_in *guest, const struct sockaddr_in *target);
// Closes with a reset.
void tcp_refuse(int fd);
void udp_receive(struct source *source, uint32_t events);
void udp_close_flows(struct listener *listener);
void udp_tick(struct listener *listener, int64_t now);
unsigned udp_flow_count(void);

// --- outside.c: the destinations that guests may reach ---

struct endpoint {
  struct sockaddr_storage address;
  socklen_t length;
};

void outside_init(const struct bridge_settings *bridge);
// The address to connect to when a guest connects to `destination`; false if the guest may not. `nameserver`: which of the host's name
// servers to ask, counted up without end.
bool outside_endpoint(const struct sockaddr_in *destination, unsigned nameserver, struct endpoint *out);
bool outside_is_names(const struct sockaddr_in *destination);

// --- uplink.c, outbound-tcp.c, outbound-datagrams.c: connections that guests open (packet.h) ---

struct packet;
// Calls `taker` with each packet.
int uplink_start(void (*taker)(const struct packet *packet));
void uplink_write(const uint8_t *packet, size_t length);
void uplink_stop(void);
int outbound_tcp_start(void);
void outbound_tcp_open(const struct packet *syn);
unsigned outbound_tcp_attempts(void);
bool outbound_tcp_waiting(void);
void outbound_tcp_tick(int64_t now);
void outbound_tcp_forget(struct in_addr guest);
void outbound_datagram(const struct packet *packet);
unsigned outbound_datagram_count(void);
void outbound_datagram_tick(int64_t now);
void outbound_datagram_forget(struct in_addr guest);
// The host's routes changed: ends flows that are no longer permitted.
void outbound_datagram_recheck(void);

// --- control.c ---

// Listens on `path` (0600); returns 0 or -1 with errno.
int control_start(const char *path, pid_t inner);
void control_stop(void);

// --- enter.c ---

// Joins the namespaces of `pid` and executes argv; returns only on failure.
int clock_main(void);
int enter_main(bool admin, const char *pid, char **argv);

// --- privileges.c ---

// No new privileges; keeps only CAP_NET_BIND_SERVICE.
int drop_outer_privileges(void);
// Empties the bounding set, so that the next exec has no capability at all.
int drop_all_capabilities(void);

#endif
