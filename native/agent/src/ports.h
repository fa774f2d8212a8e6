// Listeners of the guest, from /proc.
#ifndef BANGER_PORTS_H
#define BANGER_PORTS_H
#include "buffer.h"

#define PORTS_MAX_ROWS 512

struct port_row {
  bool is_udp;
  char address[46];
  uint16_t port;
  unsigned long inode;
  int pid;  // 0: unknown
};

struct port_table {
  size_t count;
  struct port_row rows[PORTS_MAX_ROWS];
};

/** Parses one line of /proc/net/{tcp,tcp6,udp,udp6}; false if it is no listener. */
bool ports_parse_line(const char *line, bool is_udp, struct port_row *row);
/** Reads the listeners, without their owners. */
void ports_read(struct port_table *table);
/** Finds the owners. */
void ports_find_owners(struct port_table *table);
/** Appends the JSON of /ports; omits rows beyond `limit_bytes`. */
void ports_put_json(struct buffer *b, const struct port_table *table, size_t limit_bytes);

#endif
