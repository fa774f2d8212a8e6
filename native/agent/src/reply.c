#include "reply.h"
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
