// Frames of docs/agent-protocol.md: type, zero, 16-bit length, payload.
#ifndef BANGER_FRAMES_H
#define BANGER_FRAMES_H
#include "buffer.h"
#include "common/constants.h"

enum frame_type { FRAME_TYPES };

enum frame_result {
  FRAME_NEED_MORE,  // no complete frame yet, or no room for DATA
  FRAME_READY,
  FRAME_BAD,  // nothing consumed: it may contain a SYNC line
};

/** A frame from the host. A DATA frame may come in several pieces, so it needs no buffer of its size. */
struct frame_reader {
  size_t data_left;  // bytes
};

struct frame {
  enum frame_type type;
  const uint8_t *payload;  // valid until the buffer changes
  size_t length;
};

/** Takes the next frame out of `in`, or the next piece of a DATA frame, at most `data_room` bytes. */
enum frame_result frame_next(struct frame_reader *reader, struct buffer *in, size_t data_room, struct frame *frame);
/** Appends a frame; false if it does not fit. */
bool frame_put(struct buffer *out, enum frame_type type, const void *payload, size_t length);
void frame_write_header(uint8_t *header, enum frame_type type, size_t length);

#endif
