#include "copy_stream.h"
#include "copy.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint8_t out[COPY_PIECE_BYTES], in[COPY_PIECE_BYTES];
static size_t out_used, in_start, in_end;

bool copy_write_all(int fd, const void *bytes, size_t n) {
  for (const uint8_t *at = bytes; n > 0;) {
    ssize_t done = write(fd, at, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    at += done;
    n -= (size_t)done;
  }
  return true;
}

void copy_flush(void) {
  if (!copy_write_all(1, out, out_used)) copy_fail_plainly("the copy cannot be sent", errno);
  out_used = 0;
}

void copy_write(const void *bytes, size_t n) {
  if (n > sizeof out - out_used) copy_flush();
  if (n >= sizeof out) {
    if (!copy_write_all(1, bytes, n)) copy_fail_plainly("the copy cannot be sent", errno);
    return;
  }
  memcpy(out + out_used, bytes, n);
  out_used += n;
}

void copy_write_zeros(uint64_t n) {
  static const uint8_t zeros[4096];
  for (; n > 0; n -= n < sizeof zeros ? n : sizeof zeros) copy_write(zeros, n < sizeof zeros ? (size_t)n : sizeof zeros);
}

void copy_write_padding(uint64_t n) { copy_write_zeros((COPY_BLOCK_BYTES - n % COPY_BLOCK_BYTES) % COPY_BLOCK_BYTES); }

// False at the end of the stream.
static bool fill(void) {
  ssize_t n;
  do n = read(0, in, sizeof in);
  while (n < 0 && errno == EINTR);
  if (n < 0) copy_fail_plainly("the copy cannot be received", errno);
  in_start = 0;
  in_end = (size_t)n;
  return n > 0;
}

const uint8_t *copy_read_some(uint64_t most, size_t *n) {
  if (in_start == in_end && !fill()) copy_fail_plainly("the copy ended early", -EBADMSG);
  size_t there = in_end - in_start;
  *n = there < most ? there : (size_t)most;
  in_start += *n;
  return in + in_start - *n;
}

void copy_read(void *into, size_t n) {
  for (uint8_t *at = into; n > 0;) {
    size_t piece;
    const uint8_t *bytes = copy_read_some(n, &piece);
    memcpy(at, bytes, piece);
    at += piece;
    n -= piece;
  }
}

void copy_skip(uint64_t n) {
  for (size_t piece; n > 0; n -= piece) copy_read_some(n, &piece);
}

void copy_drain(void) {
  while (fill()) continue;
}
