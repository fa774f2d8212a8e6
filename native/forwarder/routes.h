// What the host's routing table says of an address.
#ifndef FORWARDER_ROUTES_H
#define FORWARDER_ROUTES_H

#include <netinet/in.h>
#include <stdbool.h>

// Whether packets to the address stay on a loopback device of this host, or go to everybody on a link. Asked anew each time, in
// a few microseconds, so that it is right whatever changed. True also when nothing can be learnt.
bool route_is_private(struct in_addr destination);
// Calls `changed` when routes or addresses of the host change. Returns 0 or -1 with errno.
int routes_watch(void (*changed)(void));

#endif
