// What logins over ssh need besides the guest's own configuration.
#ifndef BANGER_LOGIN_H
#define BANGER_LOGIN_H
#include "buffer.h"
#include "environment.h"

/** Public keys that are valid for every user: in memory for the agent's logins, on disk for the guest's own sshd. */
#define LOGIN_KEYS_NAME "authorized_keys"
#define LOGIN_KEYS_PATH "/run/banger/" LOGIN_KEYS_NAME
#define LOGIN_KEYS_ON_DISK "/etc/ssh/banger_authorized_keys"
#define LOGIN_HOST_KEY_NAME "ssh_host_ed25519_key"
#define LOGIN_HOST_KEY_PATH "/run/banger/" LOGIN_HOST_KEY_NAME

/**
 * Sets the image's LANG, or one of its UTF-8 locales, and the variables of /etc/environment. PAM would set them, but sessions have no PAM.
 */
void login_variables(struct environment *e);
/** Returns 0 for a login shell that works, else an errno. */
int login_shell_obstacle(const char *shell);
/** Whether users other than root may change /, so that sshd's StrictModes would accept no key. */
bool login_is_root_unsafe(void);
/** Prepares the files that sshd reads. Returns the configuration to use, NULL for the image's own. */
const char *login_prepare(void);
/** Makes a configuration without any of the image's, for a sshd that refuses that; NULL if it cannot be written. */
const char *login_plain_config(void);

/**
 * Appends the image's sshd_config with what sessions of the host need: the keys besides those of each user, and the image's variables,
 * including its locale instead of the client's, which the image may lack. The image's own settings are kept.
 */
void login_sshd_config(struct buffer *out, const char *text, size_t length, char *const *variables, size_t count);
/**
 * Appends shadow(5) with a password that never matches ("*") for users who never had one ("!"), because sshd treats these as locked. Locked
 * passwords ("!$…") and users for whom `may_log_in` is false stay. Returns whether anything changed.
 */
bool login_unlock(struct buffer *out, const char *text, size_t length, bool (*may_log_in)(const char *user));

#endif
