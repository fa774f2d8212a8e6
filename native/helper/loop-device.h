// Loop devices as blocks below an overlay. Each has a tag, by which the helper recognises its own.
#ifndef LOOP_DEVICE_H
#define LOOP_DEVICE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

// Returns the number of a device that is unused at this moment, or -1.
int loop_free_number(void);
// EBUSY if another process was faster.
int loop_bind(int number, int file, const char *tag, bool read_only);
// Frees it if it has the tag, and waits until it is free. A missing device, or another user's, is no error.
int loop_release(int number, const char *tag);
// Adopts the new size of its file, which must be the bound one. ESTALE if it is another file.
int loop_grow(int number, const char *tag, const struct stat *file);
dev_t loop_device(int number);

#endif
