// The processes of the guest, as proc(5) shows them.
#ifndef BANGER_PROCESSES_H
#define BANGER_PROCESSES_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** `stat` as text, `cmdline` as `length` bytes ended by a NUL. Returns whether to look at more. */
typedef bool process_look(pid_t pid, const char *stat, const char *cmdline, size_t length, void *result);

/** Looks at every process but pid 1, in no particular order. */
void processes_look(process_look *look, void *result);

#endif
