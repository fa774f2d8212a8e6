// The archive's bytes in and out of the process, in large pieces. Failures end the process.
#ifndef BANGER_COPY_STREAM_H
#define BANGER_COPY_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_BLOCK_BYTES 512
#define COPY_PIECE_BYTES (256 * 1024)

void copy_write(const void *bytes, size_t n);
void copy_write_zeros(uint64_t n);
/** Zeros up to the next block, after content of `n` bytes. */
void copy_write_padding(uint64_t n);
void copy_flush(void);
/** Writes all bytes, bypassing the buffer. False with errno. */
bool copy_write_all(int fd, const void *bytes, size_t n);

/** Takes up to `most` of the bytes that have arrived; waits for at least one. Ends the process at the stream's end. */
const uint8_t *copy_read_some(uint64_t most, size_t *n);
void copy_read(void *into, size_t n);
/** Skips `n` bytes. */
void copy_skip(uint64_t n);
/** Reads to the end of the stream. */
void copy_drain(void);

#endif
