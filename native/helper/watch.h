// Hears of changes that make the rules wrong: somebody touched banger's tables, the routes changed, or a TAP took an address.
#ifndef WATCH_H
#define WATCH_H

#include <poll.h>
#include <stdbool.h>

#define WATCH_FDS 3

// Starting twice is fine. Returns 0, or -1 with errno.
int watch_start(void);
void watch_stop(void);
// Fills descriptors to wait for; returns how many.
int watch_poll(struct pollfd fds[WATCH_FDS]);
// Reads what is there. Returns whether anything relevant changed; what nft_apply did does not count.
bool watch_changed(void);
// Calls `found` with the id of each TAP that has taken a hardware address of guests' or the bridge's. Whoever has opened a TAP may
// set its address, and a bridge keeps frames for an address of its own ports from the guest whose it is.
void watch_stolen(void (*found)(const char *id));

#endif
