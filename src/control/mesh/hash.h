/*
 * Hashes of names, addresses and keys for GLib's tables. Names and addresses are
 * chosen by others, so their hashes are keyed by a secret of this process: nobody
 * can make a table's chains long on purpose.
 *
 * Each function takes a pointer to what its name says. Any thread.
 */
#ifndef VELD_CONTROL_MESH_HASH_H
#define VELD_CONTROL_MESH_HASH_H

#include <glib.h>

guint veld_hash_name(gconstpointer name); /* a string; compare by g_str_equal */
guint veld_hash_ip(gconstpointer ip);     /* a struct veld_ip */
gboolean veld_same_ip(gconstpointer a, gconstpointer b);
guint veld_hash_prefix(gconstpointer prefix); /* a struct veld_prefix, masked */
gboolean veld_same_prefix(gconstpointer a, gconstpointer b);
guint veld_hash_key(gconstpointer key); /* 32 bytes */
gboolean veld_same_key(gconstpointer a, gconstpointer b);

#endif
