// The positions of the fields in a ustar header, for reading and writing.
#ifndef BANGER_COPY_HEADER_H
#define BANGER_COPY_HEADER_H
#include <stdint.h>

struct ustar {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], kind, link[100];
  char magic[6], version[2], user[32], group[32], device_major[8], device_minor[8], prefix[155];
  char nanoseconds[12];
};
_Static_assert(sizeof(struct ustar) == 512, "a header is one block");

/** The largest number in an octal field of 12 bytes. */
#define USTAR_MAX_NUMBER 077777777777LL
#define USTAR_MAX_ID 07777777u
#define XATTR_KEY "SCHILY.xattr."
#define APPEND_KEY "BANGER.append"
#define CUT_KEY "BANGER.size"
/** Types of headers that describe another entry. */
#define PAX_NEXT 'x'
#define PAX_GLOBAL 'g'

/** Sum of all bytes, with the checksum's own bytes counted as blanks. */
unsigned ustar_checksum(const struct ustar *h);

#endif
