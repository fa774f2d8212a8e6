// Every parser that sees the host's or the guest's bytes. The first byte chooses the parser.
#include "../src/frames.h"
#include "../src/http.h"
#include "../src/identity.h"
#include "../src/json.h"
#include "../src/ports.h"
#include "../src/systemd.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void fuzz_copy(const uint8_t *data, size_t size);

static void fuzz_http(char *text, size_t size) {
  struct http_request request;
  char path[64];
  size_t length = http_head_length((uint8_t *)text, size);
  if (length > 0 && length <= LIMIT_HEAD_BYTES && http_parse_head(text, length, &request))
    http_query(&request, "path", path, sizeof path);
  sync_line_find((uint8_t *)text, size);
}

static void fuzz_json(char *text, size_t size) {
  struct json_document document;
  struct buffer out;
  buffer_init(&out, 4096);
  if (json_parse(text, size, &document) && document.root->type == JSON_STRING) {
    // What the reader accepts is valid UTF-8, so the writer keeps it.
    json_put_string(&out, document.root->string, document.root->length, 256);
  }
  json_free(&document);
  buffer_free(&out);
}

static void fuzz_frames(const char *text, size_t size) {
  struct frame_reader reader = {0};
  struct frame frame;
  struct buffer in;
  size_t fed = 0;
  buffer_init(&in, 256);
  for (;;) {
    size_t room = 1 + fed % 7;
    enum frame_result result = frame_next(&reader, &in, room, &frame);
    if (result == FRAME_BAD || (result == FRAME_NEED_MORE && fed == size)) break;
    if (result == FRAME_READY && frame.type == FRAME_DATA && frame.length > room) abort();
    if (result != FRAME_NEED_MORE) continue;
    buffer_append(&in, text + fed, 1);
    fed++;
  }
  buffer_free(&in);
}

static void fuzz_block(const char *text, size_t size) {
  struct buffer once, twice;
  buffer_init(&once, size + 4096);
  buffer_init(&twice, size + 8192);
  marked_block_replace(&once, text, size, "key\n", 4);
  marked_block_replace(&twice, (char *)buffer_bytes(&once), buffer_length(&once), "key\n", 4);
  // Doing it again changes nothing.
  if (buffer_length(&once) != buffer_length(&twice) ||
      memcmp(buffer_bytes(&once), buffer_bytes(&twice), buffer_length(&once)) != 0)
    abort();
  buffer_free(&once);
  buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > 100000) return 0;
  struct port_row row;
  uint8_t decoded[64];
  size_t length = size - 1;
  // An exact allocation lets the sanitizer see one byte too many.
  char *text = malloc(length + 1);
  memcpy(text, data + 1, length);
  text[length] = 0;
  switch (data[0] % 8) {
    case 0: fuzz_http(text, length); break;
    case 1: fuzz_json(text, length); break;
    case 2: fuzz_frames(text, length); break;
    case 3: fuzz_block(text, length); break;
    case 4: base64_decode(text, length, decoded, sizeof decoded); break;
    case 5: systemd_state_reply((uint8_t *)text, length, (char *)decoded, sizeof decoded); break;
    case 6: fuzz_copy((uint8_t *)text, length); break;
    default: ports_parse_line(text, length % 2 == 1, &row);
  }
  free(text);
  return 0;
}
