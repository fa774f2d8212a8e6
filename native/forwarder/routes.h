// The host's routing table.
#ifndef FORWARDER_ROUTES_H
#define FORWARDER_ROUTES_H

#include <netinet/in.h>
#include <stdbool.h>

// Whether packets to the address stay on a loopback device of this host, or go to everyone on a link. Looked up each time, in a few
// microseconds, so the answer is always current. True also if the lookup fails.
bool route_is_private(struct in_addr destination);
// Calls `changed` when routes or addresses of the host change. Returns 0 or -1 with errno.
int routes_watch(void (*changed)(void));

#endif
