// The host's link to the outside, which must forward replies to guests. Both return 0, or -1 with errno.
#ifndef UPLINK_H
#define UPLINK_H

// Makes the link `name` forward IPv4, after recording its earlier setting; restores the setting of another link. "": none. The host's own
// ip_forward stays as it is: the link on which a packet comes in decides about forwarding.
int uplink_use(const char *name);
int uplink_release(void);

#endif
