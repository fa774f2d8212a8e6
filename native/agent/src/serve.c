#include "serve.h"
#include "handlers.h"
#include <string.h>

/** Refuses the request, says `Connection: close`, and gives up the stream: closes it, or waits for BANGER-SYNC. */
static void protocol_error(struct channel *c, int status, const char *sentence) {
  c->ends = true;
  reply_error(c, status, sentence, 0);
  c->ends = false;
  if (c->resyncs) c->scanning = true;
  else c->gone = true;
}

// Answers a SYNC line anywhere in the first `length` bytes: it can only come from a new host.
static bool answer_sync(struct channel *c, size_t length) {
  long at = sync_line_find(buffer_bytes(&c->in), length);
  if (at < 0) return false;
  uint8_t line[SYNC_LINE_BYTES];
  memcpy(line, buffer_bytes(&c->in) + at, sizeof line);
  buffer_consume(&c->in, (size_t)at + sizeof line);
  channel_begin_host(c);
  if (channel_write(c, line, sizeof line)) channel_flush(c);
  return true;
}

static bool read_body(struct channel *c, struct request *request) {
  uint64_t left = request->http.content_length;
  if (left > LIMIT_JSON_BYTES) {
    protocol_error(c, 413, "the body is larger than the agent takes");
    return false;
  }
  while (left > 0) {
    if (buffer_length(&c->in) == 0 && !channel_read_more(c)) return false;
    size_t piece = buffer_length(&c->in) < left ? buffer_length(&c->in) : (size_t)left;
    if (!buffer_append(&request->body, buffer_bytes(&c->in), piece)) {
      protocol_error(c, 507, "the guest has no memory for the body");
      return false;
    }
    buffer_consume(&c->in, piece);
    left -= piece;
  }
  return true;
}

static void serve_request(struct channel *c, size_t head_length) {
  char head[LIMIT_HEAD_BYTES + 1];
  struct request request;
  if (head_length > LIMIT_HEAD_BYTES) {
    protocol_error(c, 431, "the request head is larger than 16 KiB");
    return;
  }
  memcpy(head, buffer_bytes(&c->in), head_length);
  head[head_length] = 0;
  buffer_consume(&c->in, head_length);
  if (!http_parse_head(head, head_length, &request.http)) {
    protocol_error(c, 400, "not a request that the agent understands");
    return;
  }
  channel_begin_request(c);
  buffer_init(&request.body, LIMIT_JSON_BYTES + 1);
  bool is_streamed = strcmp(request.http.method, "PUT") == 0 && strcmp(request.http.target, "/files") == 0;
  if (is_streamed || read_body(c, &request)) route_request(c, &request);
  buffer_free(&request.body);
  channel_end_request(c);
}

void serve_channel(struct channel *c) {
  for (;;) {
    if (c->gone && !channel_await_host(c)) return;
    size_t length = buffer_length(&c->in);
    size_t head_length = c->scanning || length == 0 ? 0 : http_head_length(buffer_bytes(&c->in), length);
    if (length > 0 && answer_sync(c, head_length ? head_length : length)) continue;
    if (head_length > 0) {
      serve_request(c, head_length);
      continue;
    }
    if (c->scanning && length >= SYNC_LINE_BYTES) buffer_consume(&c->in, length - (SYNC_LINE_BYTES - 1));
    else if (length > LIMIT_HEAD_BYTES) protocol_error(c, 431, "the request head is larger than 16 KiB");
    else channel_read_more(c);
  }
}
