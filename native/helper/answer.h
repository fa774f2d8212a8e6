// The answer to the request that is being served.
#ifndef ANSWER_H
#define ANSWER_H

#include <stddef.h>

void answer_begin(void);
// Adds a data line, at most 255 bytes.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Says why there will be none; returns -1 with this errno.
int refuse(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
// What was refused last; empty when the errno says it all.
const char *answer_reason(void);
// Ends it with `ok`, or throws away what was said and ends it with `error ERRNO REASON`. Returns all of it with its length.
const char *answer_end(int error, size_t *length);

#endif
