// The host's main routing table.
#ifndef ROUTES_H
#define ROUTES_H

#include <net/if.h>

struct routes {
  // The link of the default route with the lowest metric; empty without one.
  char uplink[IFNAMSIZ];
  // A link other than the bridge that leads to guest addresses; empty if there is none.
  char conflict[IFNAMSIZ];
};

// Returns 0 or -1 with errno.
int routes_read(struct routes *routes);

#endif
