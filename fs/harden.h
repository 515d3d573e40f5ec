/* SPDX-License-Identifier: Apache-2.0
 *
 * Linking harden.c replaces free() and realloc() of the process by wiping ones (house-style.md, Secrets); not under
 * sanitizers.  Nothing needs to be called for that. */
#ifndef KESFS_FS_HARDEN_H
#define KESFS_FS_HARDEN_H

/* Overwrite some 64 KiB of stack below the caller: threads do it before they idle. */
void harden_wipe_stack(void);

#endif
