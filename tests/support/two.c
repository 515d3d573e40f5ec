/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of HTTP/2, written and skipped. */
#include "tests/support/two.h"

#include <string.h>

static int two_is_chosen(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                         unsigned in_len, void *arg)
{
	for (unsigned i = 0; i + 1 < in_len; i += in[i] + 1u) {
		if (in[i] != 2 || memcmp(in + i + 1, "h2", 2) != 0)
			continue;
		*out = in + i + 1;
		*out_len = 2;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void two_offer(SSL_CTX *tls)
{
	SSL_CTX_set_alpn_select_cb(tls, two_is_chosen, NULL);
}

static void number_put(unsigned char to[4], uint32_t n)
{
	for (int i = 3; i >= 0; i--, n >>= 8)
		to[i] = (unsigned char)n;
}

void two_write(struct server_request *r, unsigned type, unsigned flags, uint32_t stream, const void *bytes, size_t len)
{
	unsigned char frame[256] = { 0, 0, (unsigned char)len, (unsigned char)type, (unsigned char)flags };

	number_put(frame + 5, stream);
	if (len > 0)
		memcpy(frame + 9, bytes, len);
	server_write(r, frame, 9 + len);
}

void two_ok(struct server_request *r, uint32_t stream, const char *body)
{
	two_write(r, TWO_HEADERS, TWO_END_HEADERS | (body == NULL ? TWO_END_STREAM : 0), stream, "\x88", 1);
	if (body != NULL)
		two_write(r, TWO_DATA, TWO_END_STREAM, stream, body, strlen(body));
}

void two_speak(struct server_request *r, two_answer *answer, void *arg)
{
	unsigned char head[9], body[16384];

	if (strcmp(r->method, "PRI") != 0 || !server_read(r, body, 6))
		return;
	two_write(r, TWO_SETTINGS, 0, 0, NULL, 0);
	while (!r->hang_up && server_read(r, head, 9)) {
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		uint32_t stream = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];

		if (len > sizeof body || !server_read(r, body, len))
			break;
		if (head[3] == TWO_SETTINGS && (head[4] & TWO_ACK) == 0)
			two_write(r, TWO_SETTINGS, TWO_ACK, 0, NULL, 0);
		else if (head[3] == TWO_PING && (head[4] & TWO_ACK) == 0 && len == 8)
			two_write(r, TWO_PING, TWO_ACK, 0, body, 8);
		else if ((head[3] == TWO_HEADERS || head[3] == TWO_DATA) && (head[4] & TWO_END_STREAM) != 0)
			answer(r, stream, arg);
	}
	r->hang_up = true;
}
