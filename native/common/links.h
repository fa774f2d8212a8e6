// Bridges, TAPs and settings of the caller's network namespace. Functions that return int return 0, or -1 with errno.
// Shared by banger-forwarder (its own namespace) and banger-helper (the host's).
#ifndef LINKS_H
#define LINKS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

struct bridge {
  const char *name;
  // Fixed: otherwise a bridge takes the lowest address of its ports, and guests lose their gateway when VMs come and go.
  unsigned char mac[6];
  struct in_addr address;
  int prefix_length;
};

// Makes the bridge unless it exists, sets its addresses and brings it up.
int bridge_make(const struct bridge *bridge);
// A port that is on the bridge already is no error.
int bridge_join(const char *bridge, const char *port);
// A link that is on no bridge is no error.
int bridge_leave(const char *bridge, const char *port);
// Makes a persistent TAP that `owner` may open without any capability, or gives an existing one to `owner`. EBUSY if a VMM holds it.
// TAP_OF_NAMESPACE: a new one is for every process of its network namespace (tun_not_capable in drivers/net/tun.c).
#define TAP_OF_NAMESPACE ((uid_t)-1)
int tap_make(const char *name, uid_t owner);
int link_bring_up(const char *name);
int link_take_down(const char *name);
int link_set_mtu(const char *name, int mtu);
// The link must be down; older kernels refuse to rename others.
int link_rename(const char *name, const char *new_name);
// A missing link is no error.
int link_delete(const char *name);
// Whether `name` is bgr- and eight hex digits.
bool tap_name_valid(const char *name);

int write_setting(const char *path, const char *value);

#endif
