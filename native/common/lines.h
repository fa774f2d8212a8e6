// The server's end of the line protocol that forwarder and root helper speak over a Unix socket: a request is one line of at
// most 255 bytes; its answer is any number of data lines and one last line, `ok` or `error ERRNO TEXT` (ERRNO as a name).
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_BYTES 256
// Enough for any answer, so that a client that does not read holds up nobody.
#define SEND_BUFFER_BYTES (1024 * 1024)

// Listens at `path`, to be used by whom `mask` (umask(2)) leaves; whoever finds the socket finds it ready. Returns a descriptor
// that does not block, or -1 with errno.
int lines_listen(const char *path, mode_t mask);
// Takes one client in. Returns a descriptor that does not block, or -1 when there is none.
int lines_accept(int listener);

// What a client has said and nobody has answered.
struct lines {
  char bytes[LINE_BYTES];
  size_t length;
};

// Reads what is there. Returns whether the client may say more.
bool lines_read(struct lines *lines, int fd);
// Takes the first line, without its end. False when there is no whole one. A zero byte in it is told in *is_text.
bool lines_take(struct lines *lines, char line[LINE_BYTES], bool *is_text);
// Whether the first line, which is not whole, is longer than any request.
bool lines_too_long(const struct lines *lines);

// Cuts a line up at its spaces; returns how many words there are. More than `most` are as good as `most`.
int words_of(char *line, char **words, int most);
// Decimal digits only; false also above `maximum`.
bool parse_number(const char *text, uint64_t maximum, uint64_t *number);

#endif
