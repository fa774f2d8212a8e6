// The control socket: the line protocol (common/lines.h) over a Unix socket that only the same user may use.
//
//   listen tcp|udp HOSTADDR HOSTPORT GUESTADDR GUESTPORT   the same again is fine
//   publish …                                              the same on any address of the host: what the user asked for
//   unlisten tcp|udp HOSTADDR HOSTPORT                     connections that are open go on; UDP flows end
//   forget GUESTADDR                                       ends listeners and connections of one guest
//   name GUESTADDR [NAME]                                  what other guests call it, NAME.vm; without NAME nothing
//   share me|everyone                                      who of this host's users may use listeners on loopback; me, and root,
//                                                          until this is said
//   list                                                   one `listen …` line for each listener
//   tap add NAME | tap delete NAME | tap list              NAME is bgr-<8 hex>; adding or deleting twice is fine
//   info                                                   `info version=4 outer=PID inner=PID tcp=N udp=N`: connections, datagram flows
//   quit                                                   ends everything; the connection closes when it is done
#include "forwarder.h"
#include "names.h"
#include "peer.h"
#include "shares.h"
#include "common/errors.h"
#include "common/lines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES 32768
#define MAX_CLIENTS 64
#define MAX_WORDS 8

struct client {
  struct source source;
  struct lines lines;
  struct client *next, *previous;
};

static struct source server = {.fd = -1};
static char socket_path[108];
static pid_t inner_pid;
static struct client *clients;
static unsigned client_count;

static void client_close(struct client *client) {
  loop_close(&client->source);
  if (client->previous != NULL) client->previous->next = client->next;
  else clients = client->next;
  if (client->next != NULL) client->next->previous = client->previous;
  client_count--;
  loop_free_later(client);
}

__attribute__((format(printf, 2, 3))) static void say(struct client *client, const char *format, ...) {
  char text[LINE_BYTES * 2];
  va_list values;
  va_start(values, format);
  int n = vsnprintf(text, sizeof text, format, values);
  va_end(values);
  if (n > (int)sizeof text - 1) n = (int)sizeof text - 1;
  send(client->source.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer(struct client *client, int result) {
  if (result == 0) say(client, "ok\n");
  else say(client, "error %s %s\n", errno_name(errno), strerror(errno));
}

static bool parse_address(const char *address, const char *port, struct sockaddr_in *out) {
  *out = (struct sockaddr_in){.sin_family = AF_INET};
  uint64_t number;
  if (!parse_number(port, 65535, &number) || number == 0) return false;
  out->sin_port = htons((uint16_t)number);
  return inet_pton(AF_INET, address, &out->sin_addr) == 1;
}

static int socket_type(const char *word) {
  return strcmp(word, "tcp") == 0 ? SOCK_STREAM : strcmp(word, "udp") == 0 ? SOCK_DGRAM : -1;
}

static int listen_verb(char **words, int count) {
  struct sockaddr_in host, guest;
  int type = count > 1 ? socket_type(words[1]) : -1;
  bool listening = strcmp(words[0], "unlisten") != 0;
  errno = EINVAL;
  if (type < 0 || count != (listening ? 6 : 4) || !parse_address(words[2], words[3], &host)) return -1;
  // Only loopback: nothing of a guest is shown to the host's own network unless that was asked for by its own word.
  if (strcmp(words[0], "listen") == 0 && (ntohl(host.sin_addr.s_addr) >> 24) != 127) return -1;
  if (!listening) return listener_remove(type, &host);
  return parse_address(words[4], words[5], &guest) ? listener_add(type, type == SOCK_STREAM ? tcp_accept : udp_receive, &host, &guest) : -1;
}

static void forget(struct in_addr guest) {
  listeners_forget(guest);
  tcp_forget(guest);
  outbound_tcp_forget(guest);
  outbound_datagram_forget(guest);
  names_forget(guest);
  names_set(guest, NULL);
  share_forget(party_of_guest(guest));
}

static void list_verb(struct client *client) {
  char host[INET_ADDRSTRLEN], guest[INET_ADDRSTRLEN];
  for (struct listener *l = listeners_first(); l != NULL; l = l->next) {
    inet_ntop(AF_INET, &l->host.sin_addr, host, sizeof host);
    inet_ntop(AF_INET, &l->guest.sin_addr, guest, sizeof guest);
    say(client, "listen %s %s %d %s %d\n", l->type == SOCK_STREAM ? "tcp" : "udp", host, ntohs(l->host.sin_port), guest,
        ntohs(l->guest.sin_port));
  }
  say(client, "ok\n");
}

static void tap_verb(struct client *client, char **words, int count) {
  static char reply[REPLY_BYTES];
  char line[64];
  reply[0] = '\0';
  snprintf(line, sizeof line, "tap %.16s%s%.16s", count > 1 ? words[1] : "", count == 3 ? " " : "", count == 3 ? words[2] : "");
  int result = inner_command(line, reply, sizeof reply);
  KEEPING_ERRNO(if (reply[0] != '\0') send(client->source.fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT));
  answer(client, result);
}

static void info_verb(struct client *client) {
  say(client, "info version=%d outer=%d inner=%d tcp=%u udp=%u attempts=%u\nok\n", FORWARDER_VERSION, (int)getpid(), (int)inner_pid, tcp_flow_count(),
      udp_flow_count() + outbound_datagram_count(), outbound_tcp_attempts());
}

static void run_line(struct client *client, char *line) {
  char *words[MAX_WORDS];
  int count = words_of(line, words, MAX_WORDS);
  const char *verb = count > 0 ? words[0] : "";
  struct in_addr guest;
  if (strcmp(verb, "listen") == 0 || strcmp(verb, "publish") == 0 || strcmp(verb, "unlisten") == 0) {
    answer(client, listen_verb(words, count));
  } else if (strcmp(verb, "forget") == 0 && count == 2 && inet_pton(AF_INET, words[1], &guest) == 1) {
    forget(guest);
    say(client, "ok\n");
  } else if (strcmp(verb, "name") == 0 && (count == 2 || count == 3) && inet_pton(AF_INET, words[1], &guest) == 1) {
    answer(client, names_set(guest, count == 3 ? words[2] : NULL));
  } else if (strcmp(verb, "share") == 0 && count == 2 && (strcmp(words[1], "me") == 0 || strcmp(words[1], "everyone") == 0)) {
    peer_share(strcmp(words[1], "everyone") == 0);
    say(client, "ok\n");
  } else if (strcmp(verb, "list") == 0 && count == 1) {
    list_verb(client);
  } else if (strcmp(verb, "tap") == 0 && (count == 2 || count == 3)) {
    tap_verb(client, words, count);
  } else if (strcmp(verb, "info") == 0 && count == 1) {
    info_verb(client);
  } else if (strcmp(verb, "quit") == 0 && count == 1) {
    loop_stop();
  } else {
    errno = EINVAL;
    answer(client, -1);
  }
}

static void on_client(struct source *source, uint32_t events) {
  (void)events;
  struct client *client = (struct client *)source;
  char line[LINE_BYTES];
  bool is_text;
  if (!lines_read(&client->lines, source->fd)) {
    client_close(client);
    return;
  }
  while (lines_take(&client->lines, line, &is_text)) {
    if (is_text) run_line(client, line);
    else say(client, "error EINVAL a line holds a zero byte\n");
  }
  if (!lines_too_long(&client->lines)) return;
  say(client, "error EINVAL the line is too long\n");
  client_close(client);
}

static void on_connection(struct source *source, uint32_t events) {
  (void)events;
  int fd = lines_accept(source->fd);
  if (fd < 0) return;
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t length = sizeof peer;
  int buffer = SEND_BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  bool allowed = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid() && client_count < MAX_CLIENTS;
  struct client *client = allowed ? calloc(1, sizeof *client) : NULL;
  if (client == NULL) {
    close(fd);
    return;
  }
  client->source = (struct source){.fd = fd, .handle = on_client};
  client->next = clients;
  if (clients != NULL) clients->previous = client;
  clients = client;
  client_count++;
  if (loop_add(&client->source, EPOLLIN) != 0) client_close(client);
}

int control_start(const char *path, pid_t inner) {
  inner_pid = inner;
  snprintf(socket_path, sizeof socket_path, "%s", path);
  server = (struct source){.fd = lines_listen(path, 0177), .handle = on_connection};
  if (server.fd < 0) return -1;
  return loop_add(&server, EPOLLIN);
}

void control_stop(void) {
  loop_close(&server);
  if (socket_path[0] != '\0') unlink(socket_path);
  while (clients != NULL) client_close(clients);
  loop_free_rest();
}
