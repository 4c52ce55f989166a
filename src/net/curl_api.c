/*
 * curl_api.c - libcurl opened when the first client is made, not when a program starts.
 *
 * libcurl brings some thirty libraries along (TLS, HTTP/2, Kerberos, LDAP), and loading them costs every
 * process over 3 ms, several times what a lexical search from the command line takes. So its header is
 * used at build time, and its functions are looked up by name when HTTP is first wanted.
 * Thread rule: the table is filled under hti_once and never changes afterwards. libcurl is never given back:
 * its global clean-up would pull it from under others in the process that use it too.
 * Easy to get wrong: the Debian build with GnuTLS has another file name and the same functions.
 */
#include "curl_api.h"

#include "os/os.h"

#include <stddef.h>

enum { OLDEST_VERSION = 0x075500 }; /* 7.85.0: CURLOPT_PROTOCOLS_STR */

typedef struct entry {
    const char *name;
    size_t off; /* of the pointer in hti_curl_api */
} entry;

#define ENTRY(name)                                 \
    {                                               \
        "curl_" #name, offsetof(hti_curl_api, name) \
    }

static const entry entries[] = {
    ENTRY(global_init),
    ENTRY(version_info),
    ENTRY(easy_strerror),
    ENTRY(multi_strerror),
    ENTRY(easy_init),
    ENTRY(easy_reset),
    ENTRY(easy_cleanup),
    ENTRY(easy_setopt),
    ENTRY(easy_getinfo),
    ENTRY(multi_init),
    ENTRY(multi_cleanup),
    ENTRY(multi_setopt),
    ENTRY(multi_add_handle),
    ENTRY(multi_remove_handle),
    ENTRY(multi_perform),
    ENTRY(multi_info_read),
    ENTRY(multi_poll),
    ENTRY(multi_wakeup),
    ENTRY(slist_append),
    ENTRY(slist_free_all),
    ENTRY(url),
    ENTRY(url_set),
    ENTRY(url_get),
    ENTRY(url_cleanup),
    ENTRY(free),
};

static hti_once loading;
static hti_curl_api loaded;
static const char *refusal; /* why there is no table; NULL if there is */

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"};
    hti_library *library = hti_library_open(names, HTI_LEN(names));
    if (!library) {
        refusal = "libcurl (libcurl.so.4) is not on this machine; Debian's package is libcurl4";
        return;
    }
    for (size_t i = 0; i < HTI_LEN(entries); i++) {
        if (!hti_library_symbol(library, entries[i].name, (char *)&loaded + entries[i].off))
            refusal = "libcurl is too old; 7.85 or newer is needed";
    }
    if (refusal) return;
    if (loaded.version_info(CURLVERSION_NOW)->version_num < OLDEST_VERSION)
        refusal = "libcurl is too old; 7.85 or newer is needed";
    else if (loaded.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        refusal = "libcurl cannot be initialised (out of memory, or its TLS library is broken)";
}

ht_status hti_curl_load(const hti_curl_api **out, ht_error *err)
{
    hti_once_run(&loading, load);
    *out = refusal ? NULL : &loaded;
    return refusal ? HT_FAIL(err, UNSUPPORTED, "HTTP: %s", refusal) : HT_OK;
}
