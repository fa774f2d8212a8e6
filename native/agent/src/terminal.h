// Terminals of the host that a guest's terminfo does not know.
#ifndef BANGER_TERMINAL_H
#define BANGER_TERMINAL_H

/** Whether programs in the guest find an entry for it. `home` may have entries of its own. */
bool terminal_is_known(const char *name, const char *home);
/**
 * Gives terminals newer than the image's terminfo the entry of the one that they all imitate. What has an entry keeps it. Login shells
 * over ssh take that one in place of a name that nobody knows, and give a terminal without a size the usual one.
 */
void terminal_make_known(void);

/** What they imitate. */
#define TERMINAL_USUAL "xterm-256color"

#endif
