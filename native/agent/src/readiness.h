// Commands that ask the image's init, right after its start.
#ifndef BANGER_READINESS_H
#define BANGER_READINESS_H
#include <stdbool.h>

/** Whether a word of the command names a program that talks to systemd, also inside a line of shell. */
bool readiness_asks_systemd(char *const *argv);
/** Waits until systemd can be asked, where it is the init that has just been started; at most `limit_ms`. */
void readiness_await_systemd(int limit_ms);

#endif
