// The destinations that guests may reach: the only check in the process that has the host's network. The namespace's rules forbid the same,
// and either alone would suffice.
#include "forwarder.h"
#include "routes.h"
#include "common/constants.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_NAMESERVERS 3

static struct in_addr name_address, own_network;
static uint32_t own_mask;

void outside_init(const struct bridge_settings *bridge) {
  name_address = bridge->names;
  own_mask = ~(uint32_t)0 << (32 - bridge->prefix_length);
  own_network.s_addr = bridge->address.s_addr & htonl(own_mask);
}

static const struct {
  uint32_t network;
  int prefix_length;
} forbidden[] = {FORBIDDEN_NETWORKS};

// Never permitted: the destinations forbidden to all guests, their own network, and addresses that the host keeps on its loopback device,
// whatever their range, e.g. an anycast address.
static bool is_allowed(struct in_addr address) {
  uint32_t a = ntohl(address.s_addr);
  for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
    if (((a ^ forbidden[i].network) >> (32 - forbidden[i].prefix_length)) == 0) return false;
  if ((a & own_mask) == ntohl(own_network.s_addr)) return false;
  return !route_is_private(address);
}

static bool parse_nameserver(char *text, struct endpoint *out) {
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->address;
  struct sockaddr_in *four = (struct sockaddr_in *)&out->address;
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(53);
    out->length = sizeof *four;
    return true;
  }
  char *zone = strchr(text, '%');
  if (zone != NULL) *zone++ = '\0';
  if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) return false;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(53);
  six->sin6_scope_id = zone == NULL ? 0 : if_nametoindex(zone);
  out->length = sizeof *six;
  return true;
}

// Read for each flow, so that it follows a laptop to another network.
static unsigned read_nameservers(struct endpoint *list) {
  unsigned count = 0;
  char line[512], word[64];
  FILE *file = fopen("/etc/resolv.conf", "re");
  while (file != NULL && count < MAX_NAMESERVERS && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, " nameserver %63s", word) == 1 && parse_nameserver(word, &list[count])) count++;
  if (file != NULL) fclose(file);
  if (count > 0) return count;
  // The meaning of an empty resolv.conf(5).
  char local[] = "127.0.0.1";
  return parse_nameserver(local, &list[0]) ? 1 : 0;
}

bool outside_is_names(const struct sockaddr_in *destination) {
  return destination->sin_addr.s_addr == name_address.s_addr && destination->sin_port == htons(53);
}

bool outside_endpoint(const struct sockaddr_in *destination, unsigned nameserver, struct endpoint *out) {
  if (outside_is_names(destination)) {
    struct endpoint list[MAX_NAMESERVERS];
    unsigned count = read_nameservers(list);
    if (count > 0) *out = list[nameserver % count];
    return count > 0;
  }
  if (!is_allowed(destination->sin_addr)) return false;
  memset(out, 0, sizeof *out);
  memcpy(&out->address, destination, sizeof *destination);
  out->length = sizeof *destination;
  return true;
}
