#include "personalize.h"
#include "agent.h"
#include "handlers.h"
#include "service.h"
#include "standing.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_line(const struct json_node *n) {
  return n->type == JSON_STRING && n->length < 16384 && !strpbrk(n->string, "\r\n");
}

static bool is_line_list(const struct json_node *list) {
  if (list->type != JSON_ARRAY) return false;
  for (const struct json_node *n = list->child; n; n = n->next)
    if (!is_line(n)) return false;
  return true;
}

static bool only_characters(const struct json_node *n, const char *allowed, size_t least, size_t most) {
  return n->type == JSON_STRING && n->length >= least && n->length <= most && n->string[strspn(n->string, allowed)] == 0;
}

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

static bool check_mac(const struct json_node *n, struct link_plan *link) {
  uint8_t *mac = link->mac;
  if (!only_characters(n, DIGITS "abcdef:", 17, 17)) return false;
  link->has_mac = true;
  int end = 0;
  sscanf(n->string, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &end);
  // A group of many machines is nobody's own.
  return end == 17 && (mac[0] & 1) == 0;
}

static bool check_network(const struct json_node *n, struct personalization *p) {
  static const char *const members[] = {"address", "prefixLength", "gateway", "nameservers", "mtu", "macAddress", NULL};
  int64_t prefix_length, mtu = 0;
  if (n->type == JSON_NULL) return true;
  if (n->type != JSON_OBJECT || !json_only_members(n, members)) return false;
  const struct json_node *address = json_member(n, "address"), *gateway = json_member(n, "gateway");
  const struct json_node *mtu_node = json_member(n, "mtu");
  p->nameservers = json_member(n, "nameservers");
  if (!address || address->type != JSON_STRING || inet_pton(AF_INET, address->string, &p->link.address) != 1) return false;
  if (!json_whole(json_member(n, "prefixLength"), 1, 32, &prefix_length)) return false;
  if (mtu_node && !json_whole(mtu_node, 68, 65535, &mtu)) return false;
  if (gateway && gateway->type != JSON_NULL &&
      (gateway->type != JSON_STRING || inet_pton(AF_INET, gateway->string, &p->link.gateway) != 1))
    return false;
  if (p->nameservers && p->nameservers->type != JSON_ARRAY) return false;
  for (const struct json_node *s = p->nameservers ? p->nameservers->child : NULL; s; s = s->next)
    if (!only_characters(s, DIGITS "abcdefABCDEF.:", 2, 45)) return false;
  const struct json_node *mac = json_member(n, "macAddress");
  if (mac && !check_mac(mac, &p->link)) return false;
  p->link.name = "eth0";
  p->link.prefix_length = (int)prefix_length;
  p->link.mtu = (int)mtu;
  p->has_network = true;
  return true;
}

static bool check_host_key(const struct json_node *n, struct personalization *p) {
  static const char *const members[] = {"private", "public", NULL};
  if (n->type == JSON_NULL) return true;
  if (n->type != JSON_OBJECT || !json_only_members(n, members)) return false;
  p->private_key = json_member(n, "private");
  p->public_key = json_member(n, "public");
  return p->private_key && p->private_key->type == JSON_STRING && p->private_key->length < 16384 && p->public_key &&
         p->public_key->type == JSON_STRING && p->public_key->length < 16384;
}

static bool check_mounts(const struct json_node *list) {
  static const char *const members[] = {"device", "path", "type", NULL};
  if (list->type != JSON_ARRAY) return false;
  for (const struct json_node *n = list->child; n; n = n->next) {
    if (n->type != JSON_OBJECT || !json_only_members(n, members)) return false;
    const struct json_node *device = json_member(n, "device"), *path = json_member(n, "path");
    const struct json_node *type = json_member(n, "type");
    if (!device || device->type != JSON_STRING || strncmp(device->string, "/dev/", 5) != 0) return false;
    if (!path || path->type != JSON_STRING || path->string[0] != '/' || path->length < 2 || path->length > 255) return false;
    if (!type || type->type != JSON_STRING || strcmp(type->string, "ext4") != 0) return false;
  }
  return true;
}

static bool check_seed(const struct json_node *n, struct personalization *p) {
  if (n->type != JSON_STRING) return false;
  p->seed_length = base64_decode(n->string, n->length, p->seed, sizeof p->seed);
  return p->seed_length >= 32;
}

static bool check_member(const struct json_node *n, struct personalization *p) {
  const char *key = n->key;
  if (strcmp(key, "hostname") == 0) {
    p->hostname = n;
    return only_characters(n, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-.", 1, 64);
  }
  if (strcmp(key, "hosts") == 0) return is_line_list(p->hosts = n);
  if (strcmp(key, "network") == 0) return check_network(n, p);
  if (strcmp(key, "authorizedKeys") == 0) return is_line_list(p->authorized_keys = n);
  if (strcmp(key, "sshHostKey") == 0) return check_host_key(n, p);
  if (strcmp(key, "machineId") == 0) return only_characters(p->machine_id = n, DIGITS "abcdef", 32, 32);
  if (strcmp(key, "randomSeed") == 0) return check_seed(n, p);
  if (strcmp(key, "unixMs") == 0) return json_whole(n, 0, INT64_C(9999999999999), &p->unix_ms);
  if (strcmp(key, "service") == 0) return service_check(p->service = n);
  if (strcmp(key, "mounts") == 0) return check_mounts(p->mounts = n);
  if (strcmp(key, "restored") == 0) {
    p->is_restored = n->boolean;
    return n->type == JSON_BOOL;
  }
  if (strcmp(key, "growRoot") != 0 || n->type != JSON_BOOL) return false;
  p->grows_root = n->boolean;
  return true;
}

const char *personalization_check(const struct json_node *root, struct personalization *p) {
  memset(p, 0, sizeof *p);
  p->unix_ms = -1;
  for (const struct json_node *n = root->child; n; n = n->next)
    if (!check_member(n, p)) return n->key;
  return NULL;
}

static void answer(struct channel *c, const struct troubles *t) {
  struct buffer body;
  bool has_ssh_server = standing_has_ssh_server();
  if (t->count == 0 && has_ssh_server) {
    reply_empty(c, 204);
    return;
  }
  buffer_init(&body, 32 * 1024);
  buffer_puts(&body, "{\"troubles\":");
  troubles_encode(t, &body);
  buffer_puts(&body, has_ssh_server ? ",\"hasSshServer\":true}" : ",\"hasSshServer\":false}");
  reply_json(c, 200, &body);
  buffer_free(&body);
}

static void personalize(struct channel *c, const struct personalization *p) {
  static struct troubles troubles;
  memset(&troubles, 0, sizeof troubles);
  if (p->is_restored) {
    agent_shared->life++;
    channel_begin_request(c);
  }
  personalization_apply(p, &troubles);
  agent_shared->personalized = true;
  answer(c, &troubles);
  // After the reply, so that starting the image's init does not delay the host's next request.
  if (agent_shared->personalized_fd >= 0 && write(agent_shared->personalized_fd, "P", 1) < 0) errno = 0;
}

void handle_personalize(struct channel *c, struct request *request) {
  static const char *const members[] = {"hostname",  "hosts",      "network", "authorizedKeys", "sshHostKey", "machineId",
                                        "randomSeed", "unixMs", "mounts",  "growRoot",       "service",    "restored", NULL};
  struct json_document document;
  struct personalization p;
  if (!request_object(c, request, members, &document)) return;
  const char *wrong = personalization_check(document.root, &p);
  if (wrong) {
    struct buffer text;
    buffer_init(&text, 256);
    buffer_printf(&text, "the member %s is not as docs/agent-protocol.md wants it", wrong);
    const char *sentence = buffer_text(&text);
    reply_error(c, 400, sentence ? sentence : "a member is wrong", 0);
    buffer_free(&text);
  } else if (atomic_exchange(&agent_shared->personalizing, true)) {
    reply_error(c, 409, "another personalize is running", 0);
  } else {
    personalize(c, &p);
    agent_shared->personalizing = false;
  }
  explicit_bzero(&p, sizeof p);
  json_free(&document);
}
