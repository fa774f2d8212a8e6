#include "request.h"
#include "agent.h"
#include "reply.h"
#include <string.h>

bool image_is_running(void) {
  // The host may send a request right after the reply to `personalize`; pid 1 then needs a few more milliseconds.
  for (int i = 0; i < 500 && agent_shared->personalized && !agent_shared->init_started; i++) sleep_ms(10);
  return agent_shared->init_started;
}

bool request_object(struct channel *c, struct request *request, const char *const *members, struct json_document *d) {
  size_t length = buffer_length(&request->body);
  char *text = buffer_text(&request->body);
  memset(d, 0, sizeof *d);
  if (text && json_parse(text, length, d) && d->root->type == JSON_OBJECT && json_only_members(d->root, members)) {
    return true;
  }
  json_free(d);
  reply_error(c, 400, "the body is not a JSON object of the expected members", 0);
  return false;
}
