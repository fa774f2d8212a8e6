// The bridge in the host's network namespace, the VMs' TAPs on it and a few idle ones. Return 0, or -1 with errno.
#ifndef TAPS_H
#define TAPS_H

#include <stdbool.h>
#include <sys/types.h>

// Spare TAPs, kept because making a TAP takes longer than renaming one. They belong to no VM, so `list` reports them separately.
#define POOL_SIZE 4

int bridge_up(void);
// Removes the idle TAPs and the bridge; missing ones are no error.
int bridge_down(void);
bool bridge_is_up(void);
// Gives `owner` a TAP named bgr-ID on the bridge, an idle one if there is one; an existing one stays.
int tap_give(const char *id, uid_t owner);
int tap_take(const char *id);
// From now on the VM neither sends nor receives frames.
int tap_cut_off(const char *id);
int tap_count_idle(void);
// Makes one idle TAP. Returns 1, 0 if the pool is full, -1 with errno.
int tap_make_idle(void);

#endif
