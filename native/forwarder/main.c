// banger-forwarder serve CONTROL BRIDGE-ADDRESS PREFIX-LENGTH NAMES-ADDRESS
// banger-forwarder serve-here CONTROL
// banger-forwarder enter PID PROGRAM [ARGUMENT…]         becomes PROGRAM inside, without any capability
// banger-forwarder enter-admin PID PROGRAM [ARGUMENT…]   the same with the namespace's root rights (nft)
// banger-forwarder probe ADDRESS PREFIX-LENGTH PROGRAM [ARGUMENT…]
//     tries everything that `serve` needs in a namespace that ends with PROGRAM, and becomes PROGRAM there;
//     ends with 100 when a namespace, 101 when a bridge, 102 when a TAP cannot be made
// banger-forwarder clock                                 tells jumps of the wall clock (clock.c)
//
// `serve` is two processes: the outer half stays in the host's network, listens on loopback addresses and answers the
// control socket (control.c); the inner half owns a user and a network namespace and makes sockets and TAPs in it. What
// guests open to the outside comes to the outer half through a TUN device and a transparent listener of the namespace
// (uplink.c). NAMES-ADDRESS is where guests ask for names. When one half ends, everything ends.
// `serve-here` is an outer half alone, for guests that are reached from where it runs: it only listens, and has no TAPs.
#include "forwarder.h"
#include "names.h"
#include "packet.h"
#include "routes.h"
#include "shares.h"
#include "common/signals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void tick(int64_t now) {
  if (listeners_tick(now)) tcp_retry_waiting();
  outbound_tcp_tick(now);
  outbound_datagram_tick(now);
  names_tick(now);
}

static bool tick_needed(void) {
  return listeners_paused() || udp_flow_count() > 0 || outbound_tcp_waiting() || outbound_datagram_count() > 0 || names_waiting();
}

// Packets that guests send out.
static void take_packet(const struct packet *packet) {
  if (packet_opens_tcp(packet)) outbound_tcp_open(packet);
  else if (packet->protocol == IPPROTO_UDP || packet_is_echo_request(packet)) outbound_datagram(packet);
}

static void on_end(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  loop_stop();
}

static struct source signals = {.fd = -1, .handle = on_end};
static struct source inner_end = {.fd = -1, .handle = on_end};

static void use_all_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  shares_init();
}

static void watch_signals(void) {
  signal(SIGHUP, SIG_IGN);
  signals.fd = signals_of_end();
  loop_add(&signals, EPOLLIN);
}

static void watch_inner_end(int channel) {
  // The channel is read only after a request, so an event here can only mean its end.
  inner_end.fd = channel;
  loop_add(&inner_end, EPOLLRDHUP);
}

static int fail(const char *what) {
  fprintf(stderr, "banger-forwarder: %s: %s\n", what, strerror(errno));
  return 71;
}

static int serve(const char *control, const struct bridge_settings *bridge) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return fail("socketpair");
  pid_t inner = fork();
  if (inner < 0) return fail("fork");
  if (inner == 0) {
    close(pair[0]);
    inner_main(pair[1], bridge);
  }
  close(pair[1]);
  char state[256] = "the inner half ended";
  ssize_t n = recv(pair[0], state, sizeof state - 1, 0);
  if (n <= 0 || strcmp(state, "ok") != 0) {
    fprintf(stderr, "banger-forwarder: %s\n", state);
    waitpid(inner, NULL, 0);
    return 71;
  }
  prctl(PR_SET_NAME, "bgr-net");
  use_all_descriptors();
  loop_init();
  inner_attach_channel(pair[0]);
  watch_signals();
  watch_inner_end(pair[0]);
  int status = 0;
  if (drop_outer_privileges() != 0) status = fail("cannot drop privileges");
  outside_init(bridge);
  if (status == 0 && routes_watch(outbound_datagram_recheck) != 0) status = fail("cannot hear of changes of routes");
  if (status == 0 && (uplink_start(take_packet) != 0 || outbound_tcp_start() != 0)) status = fail("cannot join the uplink");
  if (status == 0 && control_start(control, inner) != 0) status = fail(control);
  if (status == 0) loop_run(tick, tick_needed, tcp_work);
  uplink_stop();
  close(pair[0]);
  waitpid(inner, NULL, 0);
  // Last, so that the end of a control connection means that everything is gone.
  control_stop();
  return status;
}

static int serve_here(const char *control) {
  prctl(PR_SET_NAME, "bgr-forwards");
  use_all_descriptors();
  loop_init();
  watch_signals();
  int status = drop_outer_privileges() == 0 ? 0 : fail("cannot drop privileges");
  if (status == 0 && control_start(control, getpid()) != 0) status = fail(control);
  if (status == 0) loop_run(tick, tick_needed, tcp_work);
  control_stop();
  return status;
}

static int usage(void) {
  fprintf(stderr, "usage: banger-forwarder serve CONTROL BRIDGE-ADDRESS PREFIX-LENGTH NAMES-ADDRESS\n"
                  "       banger-forwarder serve-here CONTROL\n"
                  "       banger-forwarder enter|enter-admin PID PROGRAM [ARGUMENT...]\n"
                  "       banger-forwarder clock\n"
                  "       banger-forwarder probe BRIDGE-ADDRESS PREFIX-LENGTH PROGRAM [ARGUMENT...]\n");
  return 64;
}

static bool parse_bridge(char **words, struct bridge_settings *bridge) {
  bridge->prefix_length = atoi(words[1]);
  return inet_pton(AF_INET, words[0], &bridge->address) == 1 && bridge->prefix_length >= 8 && bridge->prefix_length <= 30;
}

int main(int argc, char **argv) {
  if (argc >= 4 && strcmp(argv[1], "enter") == 0) return enter_main(false, argv[2], argv + 3);
  if (argc >= 4 && strcmp(argv[1], "enter-admin") == 0) return enter_main(true, argv[2], argv + 3);
  if (argc == 3 && strcmp(argv[1], "serve-here") == 0) return serve_here(argv[2]);
  if (argc == 2 && strcmp(argv[1], "clock") == 0) return clock_main();
  struct bridge_settings bridge;
  if (argc >= 5 && strcmp(argv[1], "probe") == 0 && parse_bridge(argv + 2, &bridge)) return inner_probe(&bridge, argv + 4);
  if (argc != 6 || strcmp(argv[1], "serve") != 0 || !parse_bridge(argv + 3, &bridge)) return usage();
  if (inet_pton(AF_INET, argv[5], &bridge.names) != 1) return usage();
  return serve(argv[2], &bridge);
}
