// The server's end of the line protocol that forwarder and root helper speak over a Unix socket: a request is one line of at
// most 255 bytes; its answer is any number of data lines and one last line, `ok` or `error ERRNO TEXT` (ERRNO as a name).
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_BYTES 256
// Large enough for any reply, so that a client that does not read blocks nobody.
#define SEND_BUFFER_BYTES (1024 * 1024)

// Listens at `path`, for users whom `mask` (umask(2)) leaves; a client that finds the socket can use it at once. Returns a non-blocking
// descriptor, or -1 with errno.
int lines_listen(const char *path, mode_t mask);
// Accepts one client. Returns a non-blocking descriptor, or -1 if there is none.
int lines_accept(int listener);

// Bytes of a client that were not answered yet.
struct lines {
  char bytes[LINE_BYTES];
  size_t length;
};

// Reads available data. Returns whether the client may send more.
bool lines_read(struct lines *lines, int fd);
// Takes the first line, without its end. False if there is no complete one. A zero byte in it clears *is_text.
bool lines_take(struct lines *lines, char line[LINE_BYTES], bool *is_text);
// Whether the first line is incomplete and longer than any request.
bool lines_too_long(const struct lines *lines);

// Splits a line at its spaces; returns the number of words. More than `most` count as `most`.
int words_of(char *line, char **words, int most);
// Decimal digits only; false also above `maximum`.
bool parse_number(const char *text, uint64_t maximum, uint64_t *number);

#endif
