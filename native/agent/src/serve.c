#include "serve.h"
#include "json.h"
#include <errno.h>
#include <string.h>

static const char *reason_phrase(int status) {
  switch (status) {
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 507: return "Insufficient Storage";
    default: return "Internal Server Error";
  }
}

static bool send_head(struct channel *c, int status, const char *type, long length) {
  struct buffer head;
  buffer_init(&head, 512);
  buffer_printf(&head, "HTTP/1.1 %d %s\r\n", status, reason_phrase(status));
  if (type) buffer_printf(&head, "Content-Type: %s\r\n", type);
  if (length >= 0) buffer_printf(&head, "Content-Length: %ld\r\n", length);
  if (c->ends) buffer_puts(&head, "Connection: close\r\n");
  buffer_puts(&head, "\r\n");
  bool sent = channel_write(c, buffer_bytes(&head), buffer_length(&head));
  buffer_free(&head);
  return sent;
}

bool reply_json(struct channel *c, int status, struct buffer *body) {
  if (body->overflow) return reply_error(c, 500, "the reply is too large", 0);
  return send_head(c, status, "application/json", (long)buffer_length(body)) &&
         channel_write(c, buffer_bytes(body), buffer_length(body)) && channel_flush(c);
}

bool reply_empty(struct channel *c, int status) { return send_head(c, status, NULL, -1) && channel_flush(c); }

bool reply_switch(struct channel *c, int status) {
  if (status != 101) return send_head(c, status, NULL, -1);
  const char head[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: banger-frames\r\n\r\n";
  return channel_write(c, head, sizeof head - 1);
}

bool reply_error(struct channel *c, int status, const char *sentence, int error) {
  struct buffer body;
  buffer_init(&body, 4096);
  buffer_puts(&body, "{\"error\":");
  json_put_string(&body, sentence, strlen(sentence), 1024);
  buffer_printf(&body, ",\"errno\":%d}", error);
  bool sent = reply_json(c, status, &body);
  buffer_free(&body);
  return sent;
}

bool reply_errno(struct channel *c, const char *sentence, int error) {
  int status = 500;
  if (error == ENOENT || error == ENOTDIR) status = 404;
  if (error == EACCES || error == EPERM || error == EROFS) status = 403;
  if (error == ENOSPC || error == EDQUOT) status = 507;
  if (error == EISDIR || error == EEXIST || error == ELOOP || error == ETXTBSY) status = 409;
  if (error == ENAMETOOLONG || error == EINVAL) status = 400;
  struct buffer text;
  buffer_init(&text, 1024);
  buffer_printf(&text, "%.700s: %s", sentence, strerror(error));
  const char *full = buffer_text(&text);
  bool sent = reply_error(c, status, full ? full : sentence, error);
  buffer_free(&text);
  return sent;
}

void protocol_error(struct channel *c, int status, const char *sentence) {
  c->ends = true;
  reply_error(c, status, sentence, 0);
  c->ends = false;
  if (c->resyncs) c->scanning = true;
  else c->gone = true;
}

// Answers a SYNC line that stands anywhere in the first `length` bytes: there it can only be a new host's.
static bool answer_sync(struct channel *c, size_t length) {
  long at = sync_line_find(buffer_bytes(&c->in), length);
  if (at < 0) return false;
  uint8_t line[SYNC_LINE_BYTES];
  memcpy(line, buffer_bytes(&c->in) + at, sizeof line);
  buffer_consume(&c->in, (size_t)at + sizeof line);
  c->scanning = false;
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
  buffer_init(&request.body, LIMIT_JSON_BYTES + 1);
  bool is_streamed = strcmp(request.http.method, "PUT") == 0 && strcmp(request.http.target, "/files") == 0;
  if (is_streamed || read_body(c, &request)) route_request(c, &request);
  buffer_free(&request.body);
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
