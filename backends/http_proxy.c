/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl reads only lower-case http_proxy, and would proxy loopback addresses: so it is told per request. */
#include "backends/http_proxy.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_proxy {
	char *http, *https, *none;
};

struct host {                         /* of a URL */
	char name[256], port[8];
	unsigned char ip[16];         /* IPv4 in its IPv6 form */
	bool is_ip;
};

static char *env_copy(const char *upper, const char *lower)
{
	const char *value = getenv(upper);

	if (value == NULL || *value == '\0')
		value = getenv(lower);
	return strdup(value != NULL ? value : "");
}

struct http_proxy *http_proxy_new(void)
{
	struct http_proxy *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->https = env_copy("HTTPS_PROXY", "https_proxy");
	/* A CGI script's HTTP_PROXY is a header of whoever asked. */
	p->http = getenv("REQUEST_METHOD") != NULL ? strdup("") : env_copy("HTTP_PROXY", "http_proxy");
	p->none = env_copy("NO_PROXY", "no_proxy");
	if (p->https == NULL || p->http == NULL || p->none == NULL) {
		http_proxy_free(p);
		return NULL;
	}
	return p;
}

static void text_free(char *text)
{
	if (text != NULL)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void http_proxy_free(struct http_proxy *p)
{
	if (p == NULL)
		return;
	text_free(p->http);
	text_free(p->https);
	text_free(p->none);
	free(p);
}

static bool ip_parse(const char *text, unsigned char ip[16], bool *ret_v4)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(ip, 0, 10);
		memset(ip + 10, 0xff, 2);
		memcpy(ip + 12, &v4, 4);
		*ret_v4 = true;
		return true;
	}
	*ret_v4 = false;
	return inet_pton(AF_INET6, text, ip) == 1;
}

/* "name", "name:port", "[v6]:port", a bare v6; false: no host or too long. */
static bool host_split(const char *text, size_t len, struct host *ret)
{
	const char *end = text + len, *port = NULL, *stop = end;
	bool v4;

	if (len > 0 && *text == '[') {
		text++;
		stop = memchr(text, ']', (size_t)(end - text));
		if (stop == NULL)
			return false;
		port = stop + 1 < end && stop[1] == ':' ? stop + 2 : NULL;
	} else {
		const char *colon = memchr(text, ':', len);
		if (colon != NULL && memrchr(text, ':', len) == colon) {
			stop = colon;
			port = colon + 1;
		}
	}
	size_t name = (size_t)(stop - text), digits = port != NULL ? (size_t)(end - port) : 0;
	if (name == 0 || name >= sizeof ret->name || digits >= sizeof ret->port)
		return false;
	memcpy(ret->name, text, name);
	ret->name[name] = '\0';
	memcpy(ret->port, digits > 0 ? port : "", digits);
	ret->port[digits] = '\0';
	ret->is_ip = ip_parse(ret->name, ret->ip, &v4);
	return true;
}

static bool url_host(const char *url, struct host *ret, bool *ret_tls)
{
	const char *p = strstr(url, "://");

	*ret_tls = strncasecmp(url, "https:", 6) == 0;
	if (p == NULL)
		return false;
	p += 3;
	size_t len = strcspn(p, "/?#");
	const char *at = memrchr(p, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	if (!host_split(p, len, ret))
		return false;
	if (ret->port[0] == '\0')
		strcpy(ret->port, *ret_tls ? "443" : "80");
	return true;
}

static bool is_loopback(const struct host *h)
{
	static const unsigned char v4[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127 };
	static const unsigned char v6[16] = { [15] = 1 };

	if (!h->is_ip)
		return strcasecmp(h->name, "localhost") == 0;
	return memcmp(h->ip, v4, sizeof v4) == 0 || memcmp(h->ip, v6, sizeof v6) == 0;
}

/* "10.0.0.0/8" */
static bool net_matches(const char *entry, const struct host *h)
{
	unsigned char ip[16];
	char text[64], *slash, *end;
	bool v4;

	if (strlen(entry) >= sizeof text || !h->is_ip)
		return false;
	strcpy(text, entry);
	slash = strchr(text, '/');
	*slash = '\0';
	if (!ip_parse(text, ip, &v4))
		return false;
	unsigned long bits = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end != '\0' || bits > (v4 ? 32 : 128))
		return false;
	bits += v4 ? 96 : 0;
	if (memcmp(ip, h->ip, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (ip[bits / 8] ^ h->ip[bits / 8]) >> (8 - bits % 8) == 0;
}

/* "example.com" is the host and all below it, ".example.com" and "*.example.com" only what is below. */
static bool domain_matches(const char *domain, const char *name)
{
	bool below = false;

	if (strncmp(domain, "*.", 2) == 0)
		domain++;
	if (*domain == '.') {
		below = true;
		domain++;
	}
	size_t d = strlen(domain), n = strlen(name);
	if (!below && strcasecmp(domain, name) == 0)
		return true;
	return n > d && name[n - d - 1] == '.' && strcasecmp(name + n - d, domain) == 0;
}

static bool entry_matches(char *entry, const struct host *h)
{
	struct host e;

	entry += strspn(entry, " \t");
	entry[strcspn(entry, " \t")] = '\0';
	if (strcmp(entry, "*") == 0)
		return true;
	if (strchr(entry, '/') != NULL)
		return net_matches(entry, h);
	if (!host_split(entry, strlen(entry), &e) || (e.port[0] != '\0' && strcmp(e.port, h->port) != 0))
		return false;
	if (e.is_ip)
		return h->is_ip && memcmp(e.ip, h->ip, sizeof e.ip) == 0;
	return domain_matches(e.name, h->name);
}

static bool is_excepted(const char *none, const struct host *h)
{
	char *list = strdup(none), *save = NULL;
	bool found = false;

	if (list == NULL)
		return false;
	for (char *e = strtok_r(list, ",", &save); e != NULL && !found; e = strtok_r(NULL, ",", &save))
		found = entry_matches(e, h);
	free(list);
	return found;
}

const char *http_proxy_for(const struct http_proxy *p, const char *url)
{
	struct host host;
	bool tls;

	if (!url_host(url, &host, &tls) || is_loopback(&host))
		return "";
	const char *proxy = tls ? p->https : p->http;
	return *proxy == '\0' || is_excepted(p->none, &host) ? "" : proxy;
}
