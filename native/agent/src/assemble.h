// A root that lacks a place for what every system needs.
#ifndef BANGER_ASSEMBLE_H
#define BANGER_ASSEMBLE_H
#include <stdbool.h>

/** Whether /dev, /proc, /sys and /run below `root` are directories; those that are missing are made where the disk takes them. */
bool root_has_places(const char *root);
/**
 * Replaces the mounted root by one in memory that has these directories, and everything else of the disk at its place. Returns an
 * errno that says what was wrong.
 */
int root_assemble(const char *root);

#endif
