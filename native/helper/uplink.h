// The host's way out, which must forward what comes back for guests. Both return 0, or -1 with errno.
#ifndef UPLINK_H
#define UPLINK_H

// Makes the link `name` forward IPv4, after its earlier setting is recorded; another link gets its own back. "": none.
// The host's own ip_forward stays as it is: forwarding is decided by the link a packet comes in on.
int uplink_use(const char *name);
int uplink_release(void);

#endif
