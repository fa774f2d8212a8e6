#include "handlers.h"
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
