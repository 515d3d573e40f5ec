/* SPDX-License-Identifier: Apache-2.0
 *
 * A store on the network may need a moment until every reader sees a new key; a local one shows it at once or never. */
#include "fs/migrate/verify.h"

#include <errno.h>

static const int64_t PATIENCE_NETWORK = INT64_C(20000000000), PATIENCE_LOCAL = 100000000, PAUSE_FIRST = 20000000,
		     PAUSE_MAX = 2000000000;

/* One look: 0, -EAGAIN where another may help (with the reason in err), else -errno. */
static int look(struct side *side, const char *name, const struct secret *value, const struct secret *old,
		struct cancel *cancel, struct error *err)
{
	SECRET(there);
	int r = side_get(side, cancel, name, &there, err);

	if (r == -ENOENT) {
		error_set(err, EPROTO, "the %s accepted the key, but does not have it", side->word);
		return -EAGAIN;
	}
	if (r == -ESTALE)
		return -EAGAIN;
	if (r != 0)
		error_prefix(err, "written, but not read back");
	/* While somebody else writes it, a store may show half of what he does. */
	if (r == -EBADMSG)
		return -EAGAIN;
	if (r != 0)
		return r;
	if (secret_equal(&there, value))
		return 0;
	bool stale = old != NULL && secret_equal(&there, old);
	if (old != NULL && !stale)
		return error_set(err, ESTALE, "somebody changed it meanwhile: the %s holds neither the old nor the new value",
				 side->word);
	error_set(err, EPROTO, "the %s accepted the key, but holds %s value", side->word, stale ? "the old" : "another");
	return stale ? -EAGAIN : -EPROTO;
}

int verify_key(struct side *side, const char *name, const struct secret *value, const struct secret *old,
	       struct cancel *cancel, struct error *err)
{
	struct call call = { .cancel = cancel };
	int64_t pause = PAUSE_FIRST;
	int r;

	int64_t patience = side_local(side) ? PATIENCE_LOCAL : PATIENCE_NETWORK, timeout = (int64_t)(side->timeout * 1e9);
	call.deadline = call_now() + (patience < timeout ? patience : timeout);
	while ((r = look(side, name, value, old, cancel, err)) == -EAGAIN) {
		if (call_sleep(&call, pause, true) != 0)
			return -err->code;
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	}
	return r;
}

void verify_interrupted(struct item *item, enum outcome written)
{
	item_settle_as(item, written, ECANCELED, "%s, but unverified: the interrupt came before it was read back",
		       outcome_word(written));
}
