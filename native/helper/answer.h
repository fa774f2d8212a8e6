// The reply to the present request.
#ifndef ANSWER_H
#define ANSWER_H

#include <stddef.h>

void answer_begin(void);
// Adds a data line, at most 255 bytes.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Sets the reason of an error reply; returns -1 with this errno.
int refuse(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The last reason; empty if the errno says it all.
const char *answer_reason(void);
// Ends the reply with `ok`, or discards its lines and ends it with `error ERRNO REASON`. Returns the whole reply with its length.
const char *answer_end(int error, size_t *length);

#endif
