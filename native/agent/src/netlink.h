// Configures IPv4 on one link by rtnetlink.
#ifndef BANGER_NETLINK_H
#define BANGER_NETLINK_H
#include <stdbool.h>
#include <stdint.h>

struct link_plan {
  const char *name;
  uint32_t address, gateway;  // network byte order; gateway 0: none
  int prefix_length, mtu;
  bool has_mac;
  uint8_t mac[6];
};

/**
 * Configures and brings up a link: removes other IPv4 addresses, replaces the default route. If an address or the MAC changes, all routes and
 * neighbours of the link go. Returns 0 or an errno.
 */
int netlink_configure(const struct link_plan *plan);

#endif
