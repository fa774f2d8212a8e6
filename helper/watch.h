// Hears of changes that make the rules wrong: somebody touched banger's tables, or the routes changed.
#ifndef WATCH_H
#define WATCH_H

#include <poll.h>
#include <stdbool.h>

#define WATCH_FDS 2

// Starting twice is fine. Returns 0, or -1 with errno.
int watch_start(void);
void watch_stop(void);
// Fills descriptors to wait for; returns how many.
int watch_poll(struct pollfd fds[WATCH_FDS]);
// Reads what is there. Returns whether anything relevant changed; what nft_apply did does not count.
bool watch_changed(void);

#endif
