// Programs of a guest, before they are run.
#ifndef BANGER_PROGRAM_H
#define BANGER_PROGRAM_H

/** 0, or an errno with which the kernel would not execute it; ELIBACC when what it names to run or load it cannot be executed itself. */
int program_obstacle(const char *path);

#endif
