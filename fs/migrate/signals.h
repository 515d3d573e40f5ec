/* SPDX-License-Identifier: Apache-2.0
 *
 * INT, TERM and HUP, received by a thread of their own: the first asks to start nothing new, the second to cancel
 * what was not yet sent. */
#ifndef KESFS_FS_MIGRATE_SIGNALS_H
#define KESFS_FS_MIGRATE_SIGNALS_H

#include <stdbool.h>

#include "backends/error.h"

struct signals;

/* Before any other thread is started: they inherit the mask.  Also ignores SIGPIPE. */
int signals_start(struct signals **ret, struct error *err);
/* heard(number of signals so far) is called from the thread that receives them, also at once for those that came
 * before; NULL: no more, and none is running when this returns. */
void signals_tell(struct signals *s, void (*heard)(unsigned count, void *arg), void *arg);
int signals_first(struct signals *s);         /* the first signal's number; 0: none came */
int signals_fd(struct signals *s);            /* readable once a signal came */
void signals_free(struct signals *s);         /* accepts NULL */

#endif
