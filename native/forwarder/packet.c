#include "packet.h"

#include <string.h>

#define TCP_HEADER_BYTES 20
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACHABLE 3
#define ICMP_ECHO_REQUEST 8
#define FRAGMENT_MASK 0x3fff  // "more fragments" and the offset
#define DEFAULT_TTL 64

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

static void put16(uint8_t *at, size_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

static uint32_t sum(const uint8_t *bytes, size_t length, uint32_t start) {
  uint64_t total = start;
  for (size_t i = 0; i + 1 < length; i += 2) total += get16(bytes + i);
  if (length % 2 != 0) total += (uint32_t)bytes[length - 1] << 8;
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return (uint32_t)total;
}

static uint16_t checksum(const uint8_t *bytes, size_t length, uint32_t start) { return (uint16_t)~sum(bytes, length, start); }

static size_t make_ip(uint8_t *out, uint8_t protocol, struct in_addr from, struct in_addr to, size_t body_length) {
  size_t length = IP_HEADER_BYTES + body_length;
  memset(out, 0, IP_HEADER_BYTES);
  out[0] = 0x45;
  put16(out + 2, length);
  out[8] = DEFAULT_TTL;
  out[9] = protocol;
  memcpy(out + 12, &from, 4);
  memcpy(out + 16, &to, 4);
  put16(out + 10, checksum(out, IP_HEADER_BYTES, 0));
  return length;
}

// With the pseudo header of the IP header in front.
static uint16_t transport_checksum(const uint8_t *ip, size_t body_length) {
  return checksum(ip + IP_HEADER_BYTES, body_length, sum(ip + 12, 8, (uint32_t)(ip[9] + body_length)));
}

bool packet_parse(const uint8_t *bytes, size_t length, struct packet *out) {
  if (length < IP_HEADER_BYTES || bytes[0] >> 4 != 4) return false;
  size_t header = (size_t)(bytes[0] & 15) * 4, total = get16(bytes + 2);
  if (header < IP_HEADER_BYTES || total < header || total > length) return false;
  if ((get16(bytes + 6) & FRAGMENT_MASK) != 0) return false;
  *out = (struct packet){.bytes = bytes, .length = total, .protocol = bytes[9], .body = bytes + header, .body_length = total - header};
  out->source.sin_family = out->destination.sin_family = AF_INET;
  memcpy(&out->source.sin_addr, bytes + 12, 4);
  memcpy(&out->destination.sin_addr, bytes + 16, 4);
  const uint8_t *body = out->body;
  if (out->protocol == IPPROTO_ICMP) {
    if (out->body_length < ICMP_HEADER_BYTES) return false;
    memcpy(&out->source.sin_port, body + 4, 2);
    return true;
  }
  size_t least = out->protocol == IPPROTO_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;
  if ((out->protocol != IPPROTO_TCP && out->protocol != IPPROTO_UDP) || out->body_length < least) return false;
  memcpy(&out->source.sin_port, body, 2);
  memcpy(&out->destination.sin_port, body + 2, 2);
  if (out->protocol == IPPROTO_TCP) return (size_t)(body[12] >> 4) * 4 >= least && (size_t)(body[12] >> 4) * 4 <= out->body_length;
  size_t declared = get16(body + 4);
  if (declared < least || declared > out->body_length) return false;
  out->body_length = declared;
  return true;
}

bool packet_opens_tcp(const struct packet *packet) {
  return packet->protocol == IPPROTO_TCP && (packet->body[13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

bool packet_is_echo_request(const struct packet *packet) {
  return packet->protocol == IPPROTO_ICMP && packet->body[0] == ICMP_ECHO_REQUEST && packet->body[1] == 0;
}

size_t packet_make_reset(uint8_t *out, const struct packet *syn) {
  size_t length = make_ip(out, IPPROTO_TCP, syn->destination.sin_addr, syn->source.sin_addr, TCP_HEADER_BYTES);
  uint8_t *tcp = out + IP_HEADER_BYTES;
  size_t data = syn->body_length - (size_t)(syn->body[12] >> 4) * 4;
  memset(tcp, 0, TCP_HEADER_BYTES);
  memcpy(tcp, &syn->destination.sin_port, 2);
  memcpy(tcp + 2, &syn->source.sin_port, 2);
  put32(tcp + 8, get32(syn->body + 4) + 1 + (uint32_t)data);
  tcp[12] = TCP_HEADER_BYTES / 4 << 4;
  tcp[13] = TCP_RST | TCP_ACK;
  put16(tcp + 16, transport_checksum(out, TCP_HEADER_BYTES));
  return length;
}

size_t packet_make_unreachable(uint8_t *out, const struct packet *original, enum unreachable why) {
  // As much of the original as every receiver needs: its IP header and the ports.
  size_t header = (size_t)(original->body - original->bytes), quoted = header + 8;
  size_t message = ICMP_HEADER_BYTES + quoted;
  size_t length = make_ip(out, IPPROTO_ICMP, original->destination.sin_addr, original->source.sin_addr, message);
  uint8_t *icmp = out + IP_HEADER_BYTES;
  memset(icmp, 0, ICMP_HEADER_BYTES);
  icmp[0] = ICMP_UNREACHABLE;
  icmp[1] = (uint8_t)why;
  memcpy(icmp + ICMP_HEADER_BYTES, original->bytes, quoted);
  put16(icmp + 2, checksum(icmp, message, 0));
  return length;
}

size_t packet_make_udp(uint8_t *out, const struct sockaddr_in *from, const struct sockaddr_in *to, size_t payload) {
  uint8_t *udp = out + IP_HEADER_BYTES;
  size_t body = UDP_HEADER_BYTES + payload;
  size_t length = make_ip(out, IPPROTO_UDP, from->sin_addr, to->sin_addr, body);
  memcpy(udp, &from->sin_port, 2);
  memcpy(udp + 2, &to->sin_port, 2);
  put16(udp + 4, body);
  put16(udp + 6, 0);
  uint16_t sum_of_all = transport_checksum(out, body);
  // Zero would mean no checksum.
  put16(udp + 6, sum_of_all == 0 ? 0xffff : sum_of_all);
  return length;
}

size_t packet_make_echo_reply(uint8_t *out, const struct sockaddr_in *from, const struct sockaddr_in *to, size_t message) {
  uint8_t *icmp = out + IP_HEADER_BYTES;
  size_t length = make_ip(out, IPPROTO_ICMP, from->sin_addr, to->sin_addr, message);
  icmp[0] = ICMP_ECHO_REPLY;
  memcpy(icmp + 4, &to->sin_port, 2);
  put16(icmp + 2, 0);
  put16(icmp + 2, checksum(icmp, message, 0));
  return length;
}
