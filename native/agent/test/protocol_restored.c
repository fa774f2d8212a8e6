#include "protocol_restored.h"
#include "protocol_client.h"
#include "check.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct reply reply;

static bool is_closed(struct client *one) {
  char byte;
  while (client_receive(one, &byte, 1)) continue;
  return recv(one->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

// All of it is in effect; a machine without an SSH server says that, too.
static bool tell_restored(struct client *c) {
  const char *restored = "{\"restored\":true}";
  int status = client_request(c, "POST", "/personalize", restored, strlen(restored), &reply);
  return status == 204 || (status == 200 && strstr(reply.body, "\"troubles\":[]"));
}

// What was under way on another channel ends without a trace when the machine goes on from a snapshot; the order's own goes on.
void test_restored(const char *program, const char *directory) {
  struct client dead, alive;
  char path[128], text[512];
  client_start_two(&dead, &alive, program);
  snprintf(path, sizeof path, "%s/half.banger-partial", directory);
  snprintf(text, sizeof text, "PUT /files?path=%s/half HTTP/1.1\r\nContent-Length: 1000\r\n\r\nbegun", directory);
  CHECK(client_send(&dead, text, strlen(text)));
  for (int i = 0; i < 500 && access(path, F_OK) != 0; i++) usleep(10000);
  CHECK(access(path, F_OK) == 0);
  CHECK(tell_restored(&alive));
  CHECK(access(path, F_OK) != 0 && is_closed(&dead));
  CHECK(client_request(&alive, "GET", "/healthz", "", 0, &reply) == 200);
  close(dead.fd);
  CHECK(client_stop(&alive) == 0);
  client_start_two(&dead, &alive, program);
  // Neither an idle channel is touched, nor one whose request came after it.
  CHECK(client_request(&dead, "GET", "/healthz", "", 0, &reply) == 200);
  CHECK(tell_restored(&alive));
  CHECK(client_request(&dead, "GET", "/healthz", "", 0, &reply) == 200);
  snprintf(text, sizeof text, "{\"argv\":[\"sh\",\"-c\",\"trap '' HUP; echo up; touch %s; while :; do sleep 0.1; done\"]}", path);
  CHECK(client_request(&dead, "POST", "/exec", text, strlen(text), &reply) == 101);
  for (int i = 0; i < 500 && access(path, F_OK) != 0; i++) usleep(10000);
  CHECK(unlink(path) == 0);
  CHECK(tell_restored(&alive));
  CHECK(client_request(&alive, "GET", "/info", "", 0, &reply) == 200 && strstr(reply.body, "\"sessions\":0"));
  CHECK(is_closed(&dead));
  close(dead.fd);
  CHECK(client_stop(&alive) == 0);
}
