#include "handlers.h"
#include "agent.h"
#include <string.h>

static const struct route {
  const char *method, *target;
  void (*handle)(struct channel *, struct request *);
} routes[] = {
  {"GET", "/healthz", handle_healthz},
  {"GET", "/info", handle_info},
  {"GET", "/ports", handle_ports},
  {"GET", "/ports/watch", handle_ports_watch},
  {"GET", "/files", handle_get_file},
  {"PUT", "/files", handle_put_file},
  {"GET", "/stat", handle_stat},
  {"POST", "/exec", handle_exec},
  {"POST", "/personalize", handle_personalize},
  {"POST", "/poweroff", handle_poweroff},
  {"GET", "/time", handle_get_time},
  {"POST", "/time", handle_time},
};

void route_request(struct channel *c, struct request *request) {
  if (strcmp(request->http.method, "CONNECT") == 0) {
    handle_connect(c, request);
    return;
  }
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    if (strcmp(routes[i].method, request->http.method) != 0) continue;
    if (strcmp(routes[i].target, request->http.target) != 0) continue;
    routes[i].handle(c, request);
    return;
  }
  reply_error(c, 404, "the agent has no such route", 0);
}

bool image_is_running(void) {
  // The host may ask the moment `personalize` is answered; pid 1 then needs a few more milliseconds.
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
