#include "common/errors.h"

#include <stddef.h>

const char *errno_name(int error) {
  static const struct {
    int error;
    const char *name;
  } names[] = {
      {EACCES, "EACCES"}, {EADDRINUSE, "EADDRINUSE"}, {EADDRNOTAVAIL, "EADDRNOTAVAIL"}, {EAGAIN, "EAGAIN"},       {EBADF, "EBADF"},
      {EBUSY, "EBUSY"},   {EDQUOT, "EDQUOT"},         {EEXIST, "EEXIST"},               {EFBIG, "EFBIG"},         {EINVAL, "EINVAL"},
      {EIO, "EIO"},       {EISDIR, "EISDIR"},         {ELOOP, "ELOOP"},                 {EMFILE, "EMFILE"},       {ENFILE, "ENFILE"},
      {ENODEV, "ENODEV"}, {ENOENT, "ENOENT"},         {ENOMEM, "ENOMEM"},               {ENOSPC, "ENOSPC"},       {ENOSYS, "ENOSYS"},
      {ENOTDIR, "ENOTDIR"}, {EOPNOTSUPP, "ENOTSUP"},  {ENOTTY, "ENOTTY"},               {ENXIO, "ENXIO"},         {EPERM, "EPERM"},
      {EPIPE, "EPIPE"},   {EPROTO, "EPROTO"},         {ESRCH, "ESRCH"},                 {EROFS, "EROFS"},         {ESTALE, "ESTALE"},
      {ETXTBSY, "ETXTBSY"}, {EXDEV, "EXDEV"},         {ETIMEDOUT, "ETIMEDOUT"},         {ECONNRESET, "ECONNRESET"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].error == error) return names[i].name;
  return "EOTHER";
}
