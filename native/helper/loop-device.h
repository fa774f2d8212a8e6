// Loop devices as blocks under an overlay. Each carries a tag, by which it is known to be the helper's own.
#ifndef LOOP_DEVICE_H
#define LOOP_DEVICE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

// Returns the number of a device that nobody uses at this moment, or -1.
int loop_free_number(void);
// EBUSY when somebody else was faster.
int loop_bind(int number, int file, const char *tag, bool read_only);
// Frees it when it carries the tag, and waits until it is free. What is gone, or is another's, is fine.
int loop_release(int number, const char *tag);
// Takes over the new size of its file, which must be the one that was bound. ESTALE when it is another.
int loop_grow(int number, const char *tag, const struct stat *file);
dev_t loop_device(int number);

#endif
