/* SPDX-License-Identifier: Apache-2.0
 *
 * Logins and renewals on a clock of the test's own. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/token.h"
#include "tests/support/server.h"

#define SECOND INT64_C(1000000000)

static struct {                               /* the service */
	pthread_mutex_t lock;
	int64_t now;
	unsigned logins, renewals;
	int login_code, renew_code;           /* what they return */
	int64_t lifetime, renewed_lifetime;
	bool gated;
	char renewed[32];                     /* the token that renew was asked for */
} service = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct gate gate;
static struct token *token;

static int64_t now_of(void *arg)
{
	pthread_mutex_lock(&service.lock);
	int64_t now = service.now;
	pthread_mutex_unlock(&service.lock);
	return now;
}

static int login(void *arg, const struct call *c, struct token_grant *ret, struct error *err)
{
	char text[32];

	pthread_mutex_lock(&service.lock);
	unsigned n = ++service.logins;
	int code = service.login_code;
	ret->lifetime = service.lifetime;
	bool gated = service.gated;
	pthread_mutex_unlock(&service.lock);
	if (gated)
		gate_pass(&gate);
	if (code != 0)
		return error_set(err, code, "login %u failed", n);
	snprintf(text, sizeof text, "token-%u", n);
	return secret_append_text(&ret->value, text);
}

static int renew(void *arg, const struct call *c, const struct secret *current, struct token_grant *ret, struct error *err)
{
	pthread_mutex_lock(&service.lock);
	service.renewals++;
	int code = service.renew_code;
	ret->lifetime = service.renewed_lifetime;
	snprintf(service.renewed, sizeof service.renewed, "%.*s", (int)current->len, (const char *)current->bytes);
	pthread_mutex_unlock(&service.lock);
	return code != 0 ? error_set(err, code, "renewal failed") : 0;
}

static void start(int64_t lifetime)
{
	struct token_ops ops = { .login = login, .renew = renew, .now = now_of };

	gate = (struct gate)GATE_INIT;
	service.now = 1000 * SECOND;
	service.logins = service.renewals = 0;
	service.login_code = service.renew_code = 0;
	service.lifetime = service.renewed_lifetime = lifetime;
	service.gated = false;
	token = token_new(&ops, NULL);
	assert_non_null(token);
}

static int stop(void **state)
{
	gate_open(&gate);
	token_free(token);
	token = NULL;
	return 0;
}

static void set_code(int *where, int code)
{
	pthread_mutex_lock(&service.lock);
	*where = code;
	pthread_mutex_unlock(&service.lock);
}

static void pass(int64_t ns)
{
	pthread_mutex_lock(&service.lock);
	service.now += ns;
	pthread_mutex_unlock(&service.lock);
	token_tick(token);
}

static unsigned count(const unsigned *what)
{
	pthread_mutex_lock(&service.lock);
	unsigned n = *what;
	pthread_mutex_unlock(&service.lock);
	return n;
}

static int get(char *text, size_t size, uint64_t *generation, struct error *err)
{
	SECRET(value);
	struct call c = call_in(30, NULL);
	int r = token_get(token, &c, &value, generation, err);

	if (r == 0)
		snprintf(text, size, "%s", secret_text(&value));
	return r;
}

static void expect_token(const char *expected)
{
	char text[32];
	uint64_t generation;

	assert_int_equal(get(text, sizeof text, &generation, NULL), 0);
	assert_string_equal(text, expected);
}

static uint64_t attempts_wanted;

static bool has_tried(void *arg)
{
	struct token_state s;

	token_state(token, &s);
	return s.logins + s.renewals + s.failures >= attempts_wanted;
}

/* Wait until the thread has made so many attempts in all. */
static void await_attempts(uint64_t n)
{
	attempts_wanted = n;
	assert_true(eventually(has_tried, NULL));
}

static void nothing_happens_before_it_is_needed(void **state)
{
	start(60 * SECOND);
	assert_int_equal(count(&service.logins), 0);
	expect_token("token-1");
	expect_token("token-1");
	assert_int_equal(count(&service.logins), 1);
}

static void *one_get(void *arg)
{
	char text[32];
	uint64_t generation;

	*(int *)arg = get(text, sizeof text, &generation, NULL);
	if (*(int *)arg == 0 && strcmp(text, "token-1") != 0)
		*(int *)arg = -1;
	return NULL;
}

static void a_hundred_callers_cause_one_login(void **state)
{
	pthread_t threads[100];
	int results[100];

	start(60 * SECOND);
	service.gated = true;
	for (int i = 0; i < 100; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_get, &results[i]), 0);
	assert_true(gate_await(&gate, 1));
	gate_open(&gate);
	for (int i = 0; i < 100; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(results[i], 0);
	}
	assert_int_equal(count(&service.logins), 1);
}

static void it_is_renewed_after_two_thirds(void **state)
{
	start(90 * SECOND);
	expect_token("token-1");
	pass(59 * SECOND);
	expect_token("token-1");
	assert_int_equal(count(&service.renewals), 0);
	pass(SECOND);
	await_attempts(2);
	assert_int_equal(count(&service.renewals), 1);
	assert_string_equal(service.renewed, "token-1");
	pass(60 * SECOND);
	await_attempts(3);
	assert_int_equal(count(&service.renewals), 2);
	assert_int_equal(count(&service.logins), 1);
	expect_token("token-1");
}

static void one_that_never_expires_is_left_alone(void **state)
{
	struct token_state s;

	start(0);
	expect_token("token-1");
	pass(1000 * 1000 * SECOND);
	expect_token("token-1");
	token_state(token, &s);
	assert_true(s.valid);
	assert_int_equal(s.expires_in, -1);
	assert_int_equal(count(&service.renewals), 0);
}

static void a_lease_that_shrinks_leads_to_a_login(void **state)
{
	start(90 * SECOND);
	service.renewed_lifetime = 20 * SECOND;
	expect_token("token-1");
	pass(60 * SECOND);
	await_attempts(3);
	assert_int_equal(count(&service.renewals), 1);
	assert_int_equal(count(&service.logins), 2);
	expect_token("token-2");
}

static void a_refused_renewal_becomes_a_login_at_once(void **state)
{
	start(90 * SECOND);
	expect_token("token-1");
	set_code(&service.renew_code, EACCES);
	pass(60 * SECOND);
	await_attempts(2);
	expect_token("token-2");
}

static void a_failed_renewal_is_tried_for_ever_and_the_old_token_serves(void **state)
{
	struct token_state s;

	start(90 * SECOND);
	expect_token("token-1");
	set_code(&service.renew_code, EHOSTUNREACH);
	pass(60 * SECOND);
	await_attempts(2);
	for (unsigned i = 0; i < 4; i++) {            /* 1, 2, 4, 8 s */
		expect_token("token-1");
		pass((SECOND << i) - 1);
		assert_int_equal(count(&service.renewals), i + 1);
		pass(1);
		await_attempts(i + 3);
	}
	token_state(token, &s);
	assert_int_equal(s.last.code, EHOSTUNREACH);
	assert_string_equal(s.last.text, "renewal failed");
	/* Expired now, and the service is still away: callers hear why. */
	set_code(&service.login_code, EHOSTUNREACH);
	pass(30 * SECOND);
	await_attempts(7);
	char text[32];
	uint64_t generation;
	struct error err = ERROR_INIT;
	assert_int_equal(get(text, sizeof text, &generation, &err), -EHOSTUNREACH);
	/* An outage of a day later it comes back by itself. */
	set_code(&service.login_code, 0);
	pass(24 * 3600 * SECOND);
	await_attempts(8);
	token_state(token, &s);
	assert_true(s.valid);
	assert_int_equal(s.last.code, 0);
}

static void a_refused_login_is_everybodys_answer_for_30_seconds(void **state)
{
	char text[32];
	uint64_t generation;
	struct error err = ERROR_INIT;

	start(90 * SECOND);
	set_code(&service.login_code, EKEYREJECTED);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(text, sizeof text, &generation, &err), -EKEYREJECTED);
		assert_string_equal(err.text, "login 1 failed");
	}
	pass(30 * SECOND - 1);
	assert_int_equal(get(text, sizeof text, &generation, &err), -EKEYREJECTED);
	assert_int_equal(count(&service.logins), 1);
	set_code(&service.login_code, 0);
	pass(1);
	await_attempts(2);
	expect_token("token-2");
}

static void a_passing_failure_is_asked_again_after_a_second(void **state)
{
	char text[32];
	uint64_t generation;
	struct error err = ERROR_INIT;

	start(90 * SECOND);
	set_code(&service.login_code, EHOSTUNREACH);
	for (int i = 0; i < 3; i++)
		assert_int_equal(get(text, sizeof text, &generation, &err), -EHOSTUNREACH);
	assert_string_equal(err.text, "login 1 failed");
	set_code(&service.login_code, 0);
	pass(SECOND);
	expect_token("token-2");
}

/* ---- refused by the service while in use ---- */

static pthread_mutex_t runs_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned runs, good_from;              /* tokens before good_from are refused */

static int run(void *arg, const struct secret *value, struct error *err)
{
	char text[32];
	unsigned n = 0;

	snprintf(text, sizeof text, "%.*s", (int)value->len, (const char *)value->bytes);     /* nothing ends a secret */
	sscanf(text, "token-%u", &n);
	pthread_mutex_lock(&runs_lock);
	runs++;
	pthread_mutex_unlock(&runs_lock);
	return n >= good_from ? 0 : error_set(err, EKEYREJECTED, "token %u was refused", n);
}

static void *run_one(void *arg)
{
	struct call c = call_in(60, NULL);

	*(int *)arg = token_run(token, &c, run, NULL, NULL);
	return NULL;
}

static void refusals_cause_one_login_and_one_replay_each(void **state)
{
	pthread_t threads[64];
	int results[64];

	start(0);
	expect_token("token-1");
	runs = 0;
	good_from = 2;
	for (int i = 0; i < 64; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_one, &results[i]), 0);
	for (int i = 0; i < 64; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(results[i], 0);
	}
	assert_int_equal(count(&service.logins), 2);
	assert_in_range(runs, 65, 128);
}

static void a_second_refusal_is_the_answer(void **state)
{
	struct call c = call_in(60, NULL);

	start(0);
	runs = 0;
	good_from = 100;
	assert_int_equal(token_run(token, &c, run, NULL, NULL), -EKEYREJECTED);
	assert_int_equal(runs, 2);
	assert_int_equal(count(&service.logins), 2);
}

static void an_old_generation_changes_nothing(void **state)
{
	char text[32];
	uint64_t old, newer;

	start(0);
	assert_int_equal(get(text, sizeof text, &old, NULL), 0);
	token_refused(token, old);
	assert_int_equal(get(text, sizeof text, &newer, NULL), 0);
	assert_true(newer > old);
	token_refused(token, old);
	expect_token("token-2");
	assert_int_equal(count(&service.logins), 2);
}

/* ---- waiting ends ---- */

struct waiter {
	struct call call;
	int result;
};

static void *wait_for_token(void *arg)
{
	struct waiter *w = arg;
	SECRET(value);
	uint64_t generation;

	w->result = token_get(token, &w->call, &value, &generation, NULL);
	return NULL;
}

static void a_waiting_caller_can_be_cancelled(void **state)
{
	struct cancel cancel;
	struct waiter w;
	pthread_t thread;

	start(0);
	service.gated = true;
	cancel_init(&cancel);
	w.call = call_in(60, &cancel);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_token, &w), 0);
	assert_true(gate_await(&gate, 1));
	cancel_request(&cancel);
	pthread_join(thread, NULL);
	assert_int_equal(w.result, -ECANCELED);
	cancel_destroy(&cancel);
}

static void a_login_that_hangs_is_waited_for_until_the_deadline(void **state)
{
	struct waiter w = { .call = call_in(0.1, NULL) };

	start(0);
	service.gated = true;
	wait_for_token(&w);
	assert_int_equal(w.result, -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nothing_happens_before_it_is_needed, stop),
		cmocka_unit_test_teardown(a_hundred_callers_cause_one_login, stop),
		cmocka_unit_test_teardown(it_is_renewed_after_two_thirds, stop),
		cmocka_unit_test_teardown(one_that_never_expires_is_left_alone, stop),
		cmocka_unit_test_teardown(a_lease_that_shrinks_leads_to_a_login, stop),
		cmocka_unit_test_teardown(a_refused_renewal_becomes_a_login_at_once, stop),
		cmocka_unit_test_teardown(a_failed_renewal_is_tried_for_ever_and_the_old_token_serves, stop),
		cmocka_unit_test_teardown(a_refused_login_is_everybodys_answer_for_30_seconds, stop),
		cmocka_unit_test_teardown(a_passing_failure_is_asked_again_after_a_second, stop),
		cmocka_unit_test_teardown(refusals_cause_one_login_and_one_replay_each, stop),
		cmocka_unit_test_teardown(a_second_refusal_is_the_answer, stop),
		cmocka_unit_test_teardown(an_old_generation_changes_nothing, stop),
		cmocka_unit_test_teardown(a_waiting_caller_can_be_cancelled, stop),
		cmocka_unit_test_teardown(a_login_that_hangs_is_waited_for_until_the_deadline, stop),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
