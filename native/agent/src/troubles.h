// The parts that could not be set up, for the host. None of them prevents the boot.
#ifndef BANGER_TROUBLES_H
#define BANGER_TROUBLES_H
#include "buffer.h"

#define TROUBLES_MAX 32
/** Pid 1 of the initramfs leaves it for the agent: lines of errno, the substitute, and the part. Below the new root. */
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

/** Does nothing if `error` is 0. Entries beyond TROUBLES_MAX are dropped. */
void trouble_add(struct troubles *t, const char *what, int error, const char *held);
/** Adds the entries of BOOT_TROUBLES. */
void troubles_of_boot(struct troubles *t, const char *path);
/** Appends them as a JSON list. */
void troubles_encode(const struct troubles *t, struct buffer *out);

#endif
