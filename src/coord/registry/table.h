/*
 * Hash tables whose keys strangers choose: GLib's, with SipHash under a seed of
 * this process, so that nobody can choose keys that fall together.
 *
 * Keys lie inside the values (a key, a name, an address); a table owns neither.
 * Put with g_hash_table_replace, so that a key never outlives its value.
 * Out of memory ends the process: what was acknowledged is on the disk.
 */
#ifndef VELD_COORD_REGISTRY_TABLE_H
#define VELD_COORD_REGISTRY_TABLE_H

#include <glib.h>
#include <stdint.h>

GHashTable *veld_table_by_key(void);  /* const uint8_t[32] */
GHashTable *veld_table_by_pair(void); /* const uint8_t[64]: two keys */
GHashTable *veld_table_by_name(void); /* const char * */
GHashTable *veld_table_by_ipv4(void); /* const uint32_t * */

#endif
