// What could not be set up as it was wanted, so that the host can tell it. Nothing of it keeps the machine from coming up.
#ifndef BANGER_TROUBLES_H
#define BANGER_TROUBLES_H
#include "buffer.h"

#define TROUBLES_MAX 32
/** What pid 1 of the initramfs leaves for the agent: lines of errno, how it is all the same, and what. Below the new root. */
#define BOOT_TROUBLES "/run/banger/boot-troubles"

struct trouble {
  char what[160];
  int error;
  const char *held;  // "memory", "read-only", or NULL
};

struct troubles {
  struct trouble list[TROUBLES_MAX];
  size_t count;
};

/** Nothing when `error` is 0. More than TROUBLES_MAX are dropped. */
void trouble_add(struct troubles *t, const char *what, int error, const char *held);
/** Adds what BOOT_TROUBLES says. */
void troubles_of_boot(struct troubles *t, const char *path);
/** Appends the JSON of docs/agent-protocol.md. */
void troubles_encode(const struct troubles *t, struct buffer *out);

#endif
