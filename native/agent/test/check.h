// Checks that count and go on, so that one run shows every failure.
#ifndef BANGER_CHECK_H
#define BANGER_CHECK_H
#include <stdio.h>

extern int check_failures, check_count;
#define CHECK(condition)                                                          \
  do {                                                                            \
    check_count++;                                                                \
    if (!(condition)) {                                                           \
      check_failures++;                                                           \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                             \
  } while (0)

#endif
