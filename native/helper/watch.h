// Watches for changes that make the rules wrong: a program changed banger's tables, the routes changed, or a TAP took an address.
#ifndef WATCH_H
#define WATCH_H

#include <poll.h>
#include <stdbool.h>

#define WATCH_FDS 3

// Starting twice is no error. Returns 0, or -1 with errno.
int watch_start(void);
void watch_stop(void);
// Adds descriptors to wait for; returns how many.
int watch_poll(struct pollfd fds[WATCH_FDS]);
// Reads all events. Returns whether anything relevant changed; changes by nft_apply do not count.
bool watch_changed(void);
// Calls `found` with the id of each TAP that has taken a hardware address of a guest or of the bridge. A process that has opened a TAP may
// set its address, and a bridge keeps frames for an address of its own ports from the guest that owns it.
void watch_stolen(void (*found)(const char *id));

#endif
