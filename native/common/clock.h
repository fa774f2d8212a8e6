// Monotonic time.
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

// Of CLOCK_MONOTONIC.
int64_t monotonic_ms(void);
void sleep_ms(int ms);

#endif
