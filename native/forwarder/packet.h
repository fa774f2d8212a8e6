// IPv4 packets on the uplink: parsed with every length checked, because guests write them, and built for replies.
#ifndef PACKET_H
#define PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_BYTES 65535
#define IP_HEADER_BYTES 20
#define UDP_HEADER_BYTES 8
#define ICMP_HEADER_BYTES 8

enum unreachable { UNREACHABLE_HOST = 1, UNREACHABLE_PORT = 3, UNREACHABLE_PROHIBITED = 13 };

struct packet {
  const uint8_t *bytes;
  size_t length;
  uint8_t protocol;  // IPPROTO_TCP, IPPROTO_UDP or IPPROTO_ICMP
  struct sockaddr_in source, destination;  // of ICMP: the echo's identifier and 0 for the ports
  const uint8_t *body;  // the header of the transport
  size_t body_length;
};

// False for anything but a whole, unfragmented IPv4 packet with a whole header of one of the three protocols.
bool packet_parse(const uint8_t *bytes, size_t length, struct packet *out);
// A SYN that opens a connection.
bool packet_opens_tcp(const struct packet *packet);
bool packet_is_echo_request(const struct packet *packet);

// Each builds a whole packet in `out` (PACKET_BYTES) and returns its length.
size_t packet_make_reset(uint8_t *out, const struct packet *syn);
size_t packet_make_unreachable(uint8_t *out, const struct packet *original, enum unreachable why);
// The payload is in `out` already, behind IP_HEADER_BYTES + UDP_HEADER_BYTES.
size_t packet_make_udp(uint8_t *out, const struct sockaddr_in *from, const struct sockaddr_in *to, size_t payload);
// The ICMP message is in `out` already, behind IP_HEADER_BYTES; its identifier becomes the port of `to`.
size_t packet_make_echo_reply(uint8_t *out, const struct sockaddr_in *from, const struct sockaddr_in *to, size_t message);

#endif
