/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: parsed or refused with a sentence; every getter bears every value; what is read can be written and read
 * again. */
#include <stdlib.h>
#include <string.h>

#include "backends/base64.h"
#include "backends/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rewrite(const char *text)
{
	SECRET(quoted);
	AUTO_JSON(again);

	if (json_append_text(&quoted, text) != 0)
		return;                       /* not UTF-8, which cJSON lets pass */
	if (json_parse(&quoted, &again, NULL) != 0 || strcmp(json_text(again, NULL), text) != 0)
		abort();
}

static void visit(const struct json *j, unsigned depth)
{
	SECRET(value);
	struct error err = ERROR_INIT;

	if (depth > JSON_DEPTH_MAX)
		abort();
	json_number(j, NULL, 0);
	json_bool(j, NULL, false);
	if ((json_take_text(j, NULL, &value, &err) == 0) != (json_text(j, NULL) != NULL))
		abort();
	json_take_base64(j, NULL, &value, &err);
	if (json_text(j, NULL) != NULL)
		rewrite(json_text(j, NULL));
	size_t n = 0;
	for (const struct json *i = json_first(j); i != NULL; i = json_next(i), n++) {
		if (json_name(i) != NULL && json_member(j, json_name(i)) == NULL)
			abort();
		visit(i, depth + 1);
	}
	if (n != json_count(j))
		abort();
}

static void decode(const uint8_t *data, size_t size, enum base64_kind kind)
{
	SECRET(plain);
	SECRET(text);

	if (base64_decode(&plain, (const char *)data, size, kind) != 0)
		return;
	if (base64_encode(&text, plain.bytes, plain.len, kind) != 0 || text.len != size ||
	    (size > 0 && memcmp(text.bytes, data, size) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SECRET(text);
	AUTO_JSON(root);
	struct error err = ERROR_INIT;

	if (secret_append(&text, data, size) != 0)
		return -1;
	if (json_parse(&text, &root, &err) == 0)
		visit(root, 0);
	else if (root != NULL || err.text[0] == '\0')
		abort();
	decode(data, size, BASE64_STD);
	decode(data, size, BASE64_URL);
	return 0;
}
