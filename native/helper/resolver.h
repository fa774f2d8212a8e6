#ifndef RESOLVER_H
#define RESOLVER_H

#include <netinet/in.h>

// Finds the name server that guests may be sent to: the host's first with an IPv4 address that is not loopback. A resolver
// on loopback (systemd-resolved, dnsmasq) cannot be reached from a bridge, so those it asks are taken instead.
// 0.0.0.0 when there is none.
struct in_addr resolver_find(void);
// The first such address in the text of a resolv.conf(5).
struct in_addr resolver_parse(const char *text);

#endif
