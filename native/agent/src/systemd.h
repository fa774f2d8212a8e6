// Talks to systemd without starting a process.
#ifndef BANGER_SYSTEMD_H
#define BANGER_SYSTEMD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** Exists once systemd answers. */
#define SYSTEMD_SOCKET "/run/systemd/private"

/**
 * Waits until process `pid` catches or blocks `signal`; false if it does neither within `limit_ms`, or is gone. An earlier signal would be
 * lost: the kernel drops signals for pid 1 whose default action would end it (signal(7)).
 */
bool systemd_await_signal(pid_t pid, int signal, int limit_ms);
/** Writes systemd's SystemState ("starting", "running", …) into `word`; false if it does not answer within 500 ms. */
bool systemd_state(char *word, size_t capacity);
/** Writes the D-Bus call for the state; returns its length. Exposed for tests. */
size_t systemd_state_call(uint8_t *message, size_t capacity);
/**
 * Skips D-Bus signals and extracts the string of the reply to that call: 1 if it is complete, 0 if more bytes are needed, -1 for anything
 * else.
 */
int systemd_state_reply(const uint8_t *bytes, size_t length, char *word, size_t capacity);

#endif
