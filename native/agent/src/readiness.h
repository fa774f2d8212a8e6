// Commands that talk to the image's init right after its start.
#ifndef BANGER_READINESS_H
#define BANGER_READINESS_H
#include <stdbool.h>

/** Whether a word of the command names a program that talks to systemd, also inside a shell command line. */
bool readiness_asks_systemd(char *const *argv);
/** If systemd is the init and has just been started, waits until it answers; at most `limit_ms`. */
void readiness_await_systemd(int limit_ms);

#endif
