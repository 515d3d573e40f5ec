/* SPDX-License-Identifier: Apache-2.0
 *
 * The safe order against a store of one key that fails as each test scripts it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/replace.h"

enum { STEPS = 64 };

/* What happens at one call; the rest of the script is "done". */
enum event {
	DONE, FAILS,                  /* fails: not done */
	LOST,                         /* done, and said to have failed */
	LIES,                         /* said to be done */
	OTHER_FIRST,                  /* another writer comes in before */
	END,                          /* the last one of a script is repeated for ever */
};

struct backend {
	struct secret there;          /* len 0: absent */
	struct secret other;
	enum event gets[STEPS], removes[STEPS], creates[STEPS];
	int get_calls, remove_calls, create_calls;
	int get_code, remove_code, create_code;
	struct cancel *cancel_at_remove;
	struct gap gap;
	int waits_put_back[STEPS], waits, give_up_at;  /* give_up_at: the wait after which it is given up; 0: never */
};

static struct backend store;
static struct secret old, new;

static enum event next(const enum event *script, int *calls)
{
	int i = 0;

	for (int wanted = (*calls)++; i < wanted && script[i + 1] != END; i++)
		;
	return script[i];
}

static int fake_get(struct backend *b, const struct call *c, const char *name, struct secret *out, struct error *err)
{
	if (next(b->gets, &b->get_calls) == FAILS)
		return error_set(err, b->get_code, "the store does not show '%s'", name);
	return b->there.len != 0 ? secret_copy(out, &b->there) : error_set(err, ENOENT, "no such key '%s'", name);
}

static int fake_remove(struct backend *b, const struct call *c, const char *name, struct error *err)
{
	enum event event = next(b->removes, &b->remove_calls);

	if (b->cancel_at_remove != NULL)
		cancel_request(b->cancel_at_remove);
	if (event == FAILS)
		return error_set(err, b->remove_code, "the store does not remove '%s'", name);
	if (b->there.len == 0)
		return error_set(err, ENOENT, "no such key '%s'", name);
	secret_wipe(&b->there);
	return event == LOST ? error_set(err, b->remove_code, "the answer was lost") : 0;
}

static int fake_create(struct backend *b, const struct call *c, const char *name, const struct secret *val,
		       struct error *err)
{
	enum event event = next(b->creates, &b->create_calls);

	if (event == FAILS)
		return error_set(err, b->create_code, "the store does not create '%s'", name);
	if (event == LIES)
		return 0;
	if (event == OTHER_FIRST)
		secret_copy(&b->there, &b->other);
	if (b->there.len != 0)
		return error_set(err, EEXIST, "'%s' exists", name);
	secret_copy(&b->there, val);
	return event == LOST ? error_set(err, b->create_code, "the answer was lost") : 0;
}

static void gap_waits(struct gap *gap, bool putting_back, const struct error *why)
{
	assert_non_null(strstr(why->text, "my-key"));
	store.waits_put_back[store.waits++] = putting_back;
	if (store.waits == store.give_up_at)
		cancel_request(&gap->give_up);
}

static int setup(void **state)
{
	memset(&store, 0, sizeof store);
	for (int i = 1; i < STEPS; i++)
		store.gets[i] = store.removes[i] = store.creates[i] = END;
	store.get_code = store.remove_code = store.create_code = EHOSTUNREACH;
	cancel_init(&store.gap.give_up);
	store.gap.waits = gap_waits;
	secret_wipe(&old);
	secret_wipe(&new);
	secret_append_text(&old, "the old value of the key");
	secret_append_text(&new, "the new value of the key");
	secret_append_text(&store.other, "the value of somebody else");
	return secret_copy(&store.there, &old);
}

static int teardown(void **state)
{
	cancel_destroy(&store.gap.give_up);
	secret_wipe(&store.there);
	secret_wipe(&store.other);
	secret_wipe(&old);
	secret_wipe(&new);
	return 0;
}

static struct error said;

static int run(double seconds)
{
	static const struct replace_steps steps = { fake_get, fake_remove, fake_create };
	struct call c = call_in(seconds, NULL);

	if (store.give_up_at > 0)
		c.gap = &store.gap;

	said = (struct error)ERROR_INIT;
	int r = replace_run(&steps, &store, &c, "my-key", &old, &new, &said);
	if (r != 0) {
		assert_int_equal(said.code, -r);
		assert_non_null(strstr(said.text, "my-key"));
		assert_null(strstr(said.text, "value"));
	}
	return r;
}

#define SCRIPT(which, ...) do {                                    \
	static const enum event events[] = { __VA_ARGS__, END };   \
	memcpy(store.which, events, sizeof events);                \
} while (0)
#define assert_there(value) assert_true(secret_equal(&store.there, &(value)))

static void the_new_value_takes_the_place_of_the_old(void **state)
{
	assert_int_equal(run(30), 0);
	assert_there(new);
}

static void another_value_than_the_old_is_left_alone(void **state)
{
	secret_copy(&store.there, &store.other);
	assert_int_equal(run(30), -ESTALE);
	assert_there(store.other);
	assert_int_equal(store.remove_calls, 0);
	secret_wipe(&store.there);
	assert_int_equal(run(30), -ESTALE);
	assert_int_equal(store.create_calls, 0);
}

static void an_unreadable_old_value_is_not_removed(void **state)
{
	SCRIPT(gets, FAILS);
	assert_int_equal(run(30), -EHOSTUNREACH);
	assert_int_equal(store.remove_calls, 0);
}

static void a_value_that_cannot_be_decoded_any_more_is_somebody_elses(void **state)
{
	SCRIPT(gets, FAILS);
	store.get_code = EBADMSG;
	assert_int_equal(run(30), -ESTALE);
	assert_int_equal(store.remove_calls, 0);
}

static void the_value_that_is_there_already_needs_nothing(void **state)
{
	secret_copy(&store.there, &new);
	assert_int_equal(run(30), 0);
	assert_int_equal(store.remove_calls, 0);
}

static void a_refused_removal_changes_nothing(void **state)
{
	SCRIPT(removes, FAILS);
	store.remove_code = EACCES;
	assert_int_equal(run(30), -EACCES);
	assert_there(old);
	assert_int_equal(store.create_calls, 0);
}

static void a_removal_whose_answer_was_lost_goes_on(void **state)
{
	SCRIPT(removes, LOST);
	assert_int_equal(run(30), 0);
	assert_there(new);
}

static void a_removal_that_did_not_happen_is_seen(void **state)
{
	SCRIPT(removes, FAILS);
	assert_int_equal(run(30), -EHOSTUNREACH);
	assert_there(old);
	assert_int_equal(store.create_calls, 0);
	/* Even if the store cannot be asked at once. */
	SCRIPT(gets, DONE, FAILS, DONE);
	store.get_calls = 0;
	assert_int_equal(run(30), -EIO);
	assert_there(old);
}

static void a_removal_without_an_answer_that_did_not_happen_yet_is_in_progress(void **state)
{
	static const int codes[] = { ETIMEDOUT, EINPROGRESS };

	for (size_t i = 0; i < 2; i++) {
		SCRIPT(removes, FAILS);
		store.remove_code = codes[i];
		assert_int_equal(run(30), -EINPROGRESS);
		assert_there(old);
		SCRIPT(gets, DONE, FAILS, DONE);
		store.get_calls = 0;
		assert_int_equal(run(30), -EINPROGRESS);
		assert_there(old);
		SCRIPT(gets, DONE);
	}
}

static void the_create_is_tried_until_it_succeeds(void **state)
{
	SCRIPT(creates, FAILS, FAILS, FAILS, DONE);
	assert_int_equal(run(30), 0);
	assert_there(new);
	assert_int_equal(store.create_calls, 4);
}

static void a_create_whose_answer_was_lost_is_recognized(void **state)
{
	SCRIPT(creates, LOST, DONE);
	assert_int_equal(run(30), 0);
	assert_there(new);
}

static void a_create_that_lied_is_made_again(void **state)
{
	SCRIPT(creates, LIES, DONE);
	assert_int_equal(run(30), 0);
	assert_there(new);
}

static void a_create_that_is_refused_brings_the_old_value_back(void **state)
{
	SCRIPT(creates, FAILS, DONE);
	store.create_code = EFBIG;
	assert_int_equal(run(30), -EFBIG);
	assert_there(old);
	assert_non_null(strstr(said.text, "the old key was put back"));
}

static void a_store_that_is_away_for_the_first_half_gets_the_old_value_back(void **state)
{
	/* Refused for the new value, unreachable for the old one for some tries. */
	SCRIPT(creates, FAILS, FAILS, FAILS, DONE);
	store.create_code = EACCES;
	assert_int_equal(run(30), -EACCES);
	assert_there(old);
	assert_int_equal(store.create_calls, 4);
}

static void a_store_that_stays_away_is_not_recoverable(void **state)
{
	SCRIPT(creates, FAILS);
	assert_int_equal(run(0.5), -ENOTRECOVERABLE);
	assert_int_equal(store.there.len, 0);
	assert_true(store.create_calls >= 2);
}

static void who_gives_up_ends_the_wait_after_one_more_try_of_the_old_value(void **state)
{
	SCRIPT(creates, FAILS);
	store.give_up_at = 2;
	assert_int_equal(run(3600), -ENOTRECOVERABLE);
	assert_int_equal(store.create_calls, 3);
	assert_int_equal(store.waits, 3);
	assert_int_equal(store.waits_put_back[1], false);
	assert_int_equal(store.waits_put_back[2], true);
}

static void the_last_try_after_giving_up_may_put_the_old_value_back(void **state)
{
	SCRIPT(creates, FAILS, FAILS, DONE);
	store.give_up_at = 2;
	assert_int_equal(run(3600), -EHOSTUNREACH);
	assert_there(old);
	assert_non_null(strstr(said.text, "the old key was put back"));
}

static void nobody_hears_of_a_gap_that_closes_at_once(void **state)
{
	store.give_up_at = 1;
	assert_int_equal(run(30), 0);
	assert_there(new);
	assert_int_equal(store.waits, 0);
}

static void the_new_value_that_came_late_counts(void **state)
{
	/* The refused create had been done: the old value finds the name taken. */
	SCRIPT(creates, LOST, DONE);
	store.create_code = EACCES;
	assert_int_equal(run(30), 0);
	assert_there(new);
}

static void another_writer_in_the_gap_keeps_the_name(void **state)
{
	SCRIPT(creates, OTHER_FIRST);
	assert_int_equal(run(30), -ESTALE);
	assert_there(store.other);
}

static void another_writer_before_the_old_value_is_back_keeps_the_name(void **state)
{
	SCRIPT(creates, FAILS, OTHER_FIRST);
	store.create_code = EACCES;
	assert_int_equal(run(30), -ESTALE);
	assert_there(store.other);
}

static void a_cancel_in_the_gap_is_too_late(void **state)
{
	static const struct replace_steps steps = { fake_get, fake_remove, fake_create };
	struct cancel cancel;

	cancel_init(&cancel);
	struct call c = call_in(30, &cancel);
	store.cancel_at_remove = &cancel;
	SCRIPT(creates, FAILS, DONE);
	assert_int_equal(replace_run(&steps, &store, &c, "my-key", &old, &new, NULL), 0);
	assert_there(new);
	/* And before the gap it is in time. */
	assert_int_equal(replace_run(&steps, &store, &c, "my-key", &new, &old, NULL), -ECANCELED);
	assert_there(new);
	cancel_destroy(&cancel);
}

static void too_little_time_opens_no_gap(void **state)
{
	assert_int_equal(run(0.05), -ETIMEDOUT);
	assert_there(old);
	assert_int_equal(store.remove_calls, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_new_value_takes_the_place_of_the_old),
		CASE(another_value_than_the_old_is_left_alone),
		CASE(an_unreadable_old_value_is_not_removed),
		CASE(a_value_that_cannot_be_decoded_any_more_is_somebody_elses),
		CASE(the_value_that_is_there_already_needs_nothing),
		CASE(a_refused_removal_changes_nothing),
		CASE(a_removal_whose_answer_was_lost_goes_on),
		CASE(a_removal_that_did_not_happen_is_seen),
		CASE(a_removal_without_an_answer_that_did_not_happen_yet_is_in_progress),
		CASE(the_create_is_tried_until_it_succeeds),
		CASE(a_create_whose_answer_was_lost_is_recognized),
		CASE(a_create_that_lied_is_made_again),
		CASE(a_create_that_is_refused_brings_the_old_value_back),
		CASE(a_store_that_is_away_for_the_first_half_gets_the_old_value_back),
		CASE(a_store_that_stays_away_is_not_recoverable),
		CASE(who_gives_up_ends_the_wait_after_one_more_try_of_the_old_value),
		CASE(the_last_try_after_giving_up_may_put_the_old_value_back),
		CASE(nobody_hears_of_a_gap_that_closes_at_once),
		CASE(the_new_value_that_came_late_counts),
		CASE(another_writer_in_the_gap_keeps_the_name),
		CASE(another_writer_before_the_old_value_is_back_keeps_the_name),
		CASE(a_cancel_in_the_gap_is_too_late),
		CASE(too_little_time_opens_no_gap),
	};

	return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
