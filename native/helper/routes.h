// What the host's main routing table says.
#ifndef ROUTES_H
#define ROUTES_H

#include <net/if.h>

struct routes {
  // The link of the default route of the lowest metric; empty without one.
  char uplink[IFNAMSIZ];
  // A link other than the bridge that leads to guest addresses; empty when there is none.
  char conflict[IFNAMSIZ];
};

// Returns 0 or -1 with errno.
int routes_read(struct routes *routes);

#endif
