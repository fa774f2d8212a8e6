#ifndef RESOLVER_H
#define RESOLVER_H

#include <netinet/in.h>

// Finds the name server for guests: the host's first one with an IPv4 address that is not loopback. A bridge cannot reach a resolver on
// loopback (systemd-resolved, dnsmasq), so the servers that it asks are used instead. 0.0.0.0 if there is none.
struct in_addr resolver_find(void);
// The first such address in the text of a resolv.conf(5).
struct in_addr resolver_parse(const char *text);

#endif
