// Configures IPv4 on one link by rtnetlink.
#ifndef BANGER_NETLINK_H
#define BANGER_NETLINK_H
#include <stdbool.h>
#include <stdint.h>

struct link_plan {
  const char *name;
  uint32_t address, gateway;  // network byte order; gateway 0: none
  int prefix_length, mtu;
};

/** Configures and brings up a link: removes other IPv4 addresses, replaces the default route. Returns 0 or an errno. */
int netlink_configure(const struct link_plan *plan);

#endif
