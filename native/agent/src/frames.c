#include "frames.h"
#include <string.h>

// Exact payload sizes of the host's control frames; -1: the host may not send it.
static int control_length(uint8_t type) {
  switch (type) {
    case FRAME_EOF:
    case FRAME_CLOSE: return 0;
    case FRAME_RESIZE: return 4;
    case FRAME_SIGNAL: return 1;
    default: return -1;
  }
}

enum frame_result frame_next(struct frame_reader *reader, struct buffer *in, size_t data_room, struct frame *frame) {
  while (reader->data_left == 0) {
    size_t available = buffer_length(in);
    if (available < 2) return FRAME_NEED_MORE;
    const uint8_t *bytes = buffer_bytes(in);
    if (bytes[1] != 0 || (bytes[0] != FRAME_DATA && control_length(bytes[0]) < 0)) return FRAME_BAD;
    if (available < FRAME_HEADER_BYTES) return FRAME_NEED_MORE;
    size_t length = (size_t)bytes[2] << 8 | bytes[3];
    if (bytes[0] == FRAME_DATA) {
      reader->data_left = length;
      buffer_consume(in, FRAME_HEADER_BYTES);
      continue;
    }
    if ((int)length != control_length(bytes[0])) return FRAME_BAD;
    if (available < FRAME_HEADER_BYTES + length) return FRAME_NEED_MORE;
    *frame = (struct frame){.type = bytes[0], .payload = bytes + FRAME_HEADER_BYTES, .length = length};
    buffer_consume(in, FRAME_HEADER_BYTES + length);
    return FRAME_READY;
  }
  size_t piece = buffer_length(in);
  if (piece > reader->data_left) piece = reader->data_left;
  if (piece > data_room) piece = data_room;
  if (piece == 0) return FRAME_NEED_MORE;
  *frame = (struct frame){.type = FRAME_DATA, .payload = buffer_bytes(in), .length = piece};
  reader->data_left -= piece;
  buffer_consume(in, piece);
  return FRAME_READY;
}

void frame_write_header(uint8_t *header, enum frame_type type, size_t length) {
  header[0] = (uint8_t)type;
  header[1] = 0;
  header[2] = (uint8_t)(length >> 8);
  header[3] = (uint8_t)length;
}

bool frame_put(struct buffer *out, enum frame_type type, const void *payload, size_t length) {
  if (length > FRAME_MAX_PAYLOAD_BYTES || buffer_room(out) < FRAME_HEADER_BYTES + length) return false;
  uint8_t header[FRAME_HEADER_BYTES];
  frame_write_header(header, type, length);
  return buffer_append(out, header, sizeof header) && buffer_append(out, payload, length);
}
