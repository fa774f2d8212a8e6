// What systemd is asked and told without starting a process.
#ifndef BANGER_SYSTEMD_H
#define BANGER_SYSTEMD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** There once systemd can be asked. */
#define SYSTEMD_SOCKET "/run/systemd/private"

/**
 * Waits until process `pid` catches or blocks `signal`; false when it does neither within `limit_ms`, or is not there. What reaches pid 1
 * before that is lost: the kernel keeps no signal for it whose default is its end (signal(7)).
 */
bool systemd_await_signal(pid_t pid, int signal, int limit_ms);
/** systemd's SystemState ("starting", "running", …) into `word`; false when it does not answer within 500 ms. */
bool systemd_state(char *word, size_t capacity);
/** Writes the D-Bus call that asks for it; returns its length. Exposed for tests. */
size_t systemd_state_call(uint8_t *message, size_t capacity);
/**
 * Skips signals and takes the string out of the D-Bus reply to that call: 1 when it is complete, 0 when more bytes are
 * needed, -1 when it is anything else.
 */
int systemd_state_reply(const uint8_t *bytes, size_t length, char *word, size_t capacity);

#endif
