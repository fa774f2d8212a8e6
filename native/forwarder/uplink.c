// The uplink. The namespace's default route leads to a TUN device whose other end is here, in the host's network. For TCP, only packets
// that open a connection arrive here; UDP and echo requests all do.
#include "forwarder.h"
#include "packet.h"

#include <sys/epoll.h>
#include <unistd.h>

#define TURN_PACKETS 64

static uint8_t received[PACKET_BYTES];
static void (*take)(const struct packet *packet);

static void on_packets(struct source *source, uint32_t events) {
  (void)events;
  for (int i = 0; i < TURN_PACKETS; i++) {
    ssize_t n = read(source->fd, received, sizeof received);
    if (n <= 0) return;
    struct packet packet;
    if (packet_parse(received, (size_t)n, &packet)) take(&packet);
  }
}

static struct source device = {.fd = -1, .handle = on_packets};

int uplink_start(void (*taker)(const struct packet *packet)) {
  take = taker;
  device.fd = inner_uplink();
  if (device.fd < 0) return -1;
  return loop_add(&device, EPOLLIN);
}

void uplink_write(const uint8_t *packet, size_t length) {
  // A full queue drops packets, as a network does.
  ssize_t n = write(device.fd, packet, length);
  (void)n;
}

void uplink_stop(void) { loop_close(&device); }
