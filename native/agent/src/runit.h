// The present stage of runit. runit reports none, so the stage is derived from its processes (runit(8)).
#ifndef BANGER_RUNIT_H
#define BANGER_RUNIT_H
#include <stddef.h>

/** 1: boot scripts; 2: services; 3: the end; 0: none of them, as between two stages. */
int runit_stage(void);

/** The stage of one process: `stat` and `cmdline` of proc(5), the first as text, the second as `length` bytes ended by a NUL. */
int runit_stage_of(const char *stat, const char *cmdline, size_t length);

#endif
