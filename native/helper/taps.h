// The bridge in the host's network namespace, the VMs' TAPs on it and a few idle ones. Return 0, or -1 with errno.
#ifndef TAPS_H
#define TAPS_H

#include <stdbool.h>
#include <sys/types.h>

// Capacity, kept ready because making a TAP takes longer than renaming one; no VM's, so `list` tells it apart.
#define POOL_SIZE 4

int bridge_up(void);
// Removes the idle TAPs and the bridge; what is gone is fine.
int bridge_down(void);
bool bridge_is_up(void);
// Gives `owner` a TAP named bgr-ID on the bridge, an idle one when there is one; one that is there already stays.
int tap_give(const char *id, uid_t owner);
int tap_take(const char *id);
// The VM's frames go nowhere from now on, and none come to it.
int tap_cut_off(const char *id);
int tap_count_idle(void);
// Makes one idle TAP. Returns 1, 0 when the pool is full, -1 with errno.
int tap_make_idle(void);

#endif
