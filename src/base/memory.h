/*
 * Memory that was freed, given back to the kernel. Allocators keep it for the
 * next time, which is right on the way; but reading the config of 100,000 peers
 * takes twice what is kept of it, once in a daemon's life.
 *
 * Any thread; costs up to some milliseconds.
 */
#ifndef VELD_BASE_MEMORY_H
#define VELD_BASE_MEMORY_H

void veld_memory_give_back(void);

#endif
