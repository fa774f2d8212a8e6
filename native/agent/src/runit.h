// What runit does at the moment. It tells nobody, so its stages are recognised by their processes (runit(8)).
#ifndef BANGER_RUNIT_H
#define BANGER_RUNIT_H
#include <stddef.h>

/** 1: boot scripts; 2: services; 3: the end; 0: none is seen, as between two stages. */
int runit_stage(void);

/** The same of one process: `stat` and `cmdline` of proc(5), the first as text, the second as `length` bytes ended by a NUL. */
int runit_stage_of(const char *stat, const char *cmdline, size_t length);

#endif
