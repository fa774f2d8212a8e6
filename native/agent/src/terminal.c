#include "agent.h"
#include "identity.h"
#include "terminal.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Where distributions make ncurses look (terminfo(5)), besides the user's own directory.
static const char *const databases[] = {"/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo", NULL};

static const char *const newer[] = {
  "xterm-ghostty", "ghostty", "xterm-kitty", "kitty", "alacritty", "alacritty-direct", "foot", "foot-extra", "foot-direct", "wezterm",
  "contour", "contour-latest", "rio", "xterm-rio", "warp", "tabby", "zellij", "mlterm-256color", "st", "st-256color", "stterm-256color",
  "konsole", "konsole-256color", "vte", "vte-256color", "gnome", "gnome-256color", "iterm2", "iTerm2.app", "nsterm-256color", "termite",
  "xterm-termite", "rxvt-unicode-256color", "tmux", "tmux-256color", "tmux-direct", "screen-256color", "xterm-direct", "xterm-color",
  "ms-terminal", NULL};

// For logins that the agent does not start itself, sshd's: the client sets their terminal.
static const char for_logins[] =
  "# Written by banger at each start: for logins from terminals that have no size, or a name that is not known here.\n"
  "if [ -n \"${SSH_TTY-}\" ]; then\n"
  "  case $(stty size 2>/dev/null) in\n"
  "    '0 0') stty rows 24 cols 80 ;;\n"
  "    '0 '*) stty rows 24 ;;\n"
  "    *' 0') stty cols 80 ;;\n"
  "  esac\n"
  "  _banger_known=no\n"
  "  for _banger_place in \"${TERMINFO-}\" \"$HOME/.terminfo\" /etc/terminfo /lib/terminfo /usr/lib/terminfo /usr/share/terminfo; do\n"
  "    [ ! -e \"$_banger_place/${TERM%\"${TERM#?}\"}/$TERM\" ] || _banger_known=yes\n"
  "  done\n"
  "  [ \"$_banger_known\" = yes ] || export TERM=" TERMINAL_USUAL "\n"
  "  unset _banger_known _banger_place\n"
  "fi\n";

static bool is_name(const char *name) {
  return *name && *name != '.' && strlen(name) < 64 && !strchr(name, '/');
}

/** Writes the entry's path. False if there is none. */
static bool entry_in(const char *database, const char *name, char *path) {
  // Entries are below their first letter, on some systems below its code.
  snprintf(path, PATH_MAX, "%s/%c/%s", database, name[0], name);
  if (access(path, F_OK) == 0) return true;
  char by_code[PATH_MAX];
  snprintf(by_code, sizeof by_code, "%s/%02x/%s", database, (unsigned char)name[0], name);
  return access(by_code, F_OK) == 0;
}

static const char *database_with(const char *name) {
  char path[PATH_MAX];
  for (const char *const *at = databases; *at; at++)
    if (entry_in(*at, name, path)) return *at;
  return NULL;
}

bool terminal_is_known(const char *name, const char *home) {
  char own[PATH_MAX], path[PATH_MAX];
  if (!is_name(name)) return false;
  if (database_with(name)) return true;
  int n = snprintf(own, sizeof own, "%s/.terminfo", home);
  return n > 0 && n < PATH_MAX - 80 && entry_in(own, name, path);
}

static void make_logins_ready(void) {
  static const char path[] = "/etc/profile.d/banger-terminal.sh";
  struct stat s;
  // Without it, or on a read-only root, logins stay as they were.
  if (stat("/etc/profile.d", &s) == 0 && S_ISDIR(s.st_mode)) (void)write_file(path, 0644, for_logins, sizeof for_logins - 1);
}

void terminal_make_known(void) {
  const char *database = database_with(TERMINAL_USUAL);
  char path[PATH_MAX];
  if (database) make_logins_ready();
  // A system that names directories by codes is left alone.
  if (!database || (entry_in(database, TERMINAL_USUAL, path), access(path, F_OK) != 0)) return;
  for (const char *const *name = newer; *name; name++) {
    if (database_with(*name)) continue;
    snprintf(path, sizeof path, "%s/%c", database, (*name)[0]);
    mkdir(path, 0755);
    entry_in(database, *name, path);
    // Without space or on a read-only root the name stays unknown; the start continues.
    if (symlink("../x/" TERMINAL_USUAL, path) != 0) return;
  }
}
