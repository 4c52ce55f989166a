/*
 * 03_fetch.c - asynchronous fetches with a bearer token, row and batch, from a local server that takes 10 ms an answer.
 *
 * HTTPClient.get is a start form: a call begins and ends later, on the client's own thread. The node below is written
 * for one URL; mapped over 100 of them its calls overlap, and results keep the order of the URLs.
 */
#include "guide.h"
#include "server.h"

static ht_instance *new_client(ht_registry *registry, const char *token, int in_flight, ht_error *err)
{
    static const char *const names[] = {"bearer", "max_in_flight"};
    ht_value values[2] = {ht_value_null(), ht_value_int(in_flight)}, args;
    ht_instance *client;
    or_die(ht_value_string(text_of(token), &values[0], err), err);
    or_die(ht_value_struct(names, values, 2, &args, err), err);
    or_die(ht_instance_new(ht_registry_class(registry, "HTTPClient"), args, &client, err), err);
    ht_value_release(values[0]);
    ht_value_release(args);
    return client;
}

static ht_value urls_of(const guide_server *server, size_t n, ht_error *err)
{
    ht_value *urls = malloc((n + 1) * sizeof *urls), list;
    if (!urls) exit(1);
    for (size_t i = 0; i < n; i++) {
        char url[80];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/page/%zu", server->port, i);
        or_die(ht_value_string(text_of(url), &urls[i], err), err);
    }
    or_die(ht_value_list_take(urls, n, &list, err), err);
    free(urls);
    return list;
}

/* for url in urls: client.get(url) */
static ht_value by_rows(ht_instance *client, ht_value urls, guide_way *way, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(urls, &n);
    ht_value *pages = malloc((n + 1) * sizeof *pages), list;
    if (!pages) exit(1);
    const double start = seconds_now();
    for (size_t i = 0; i < n; i++) or_die(ht_instance_call(client, "get", &items[i], 1, &pages[i], err), err);
    way->seconds = seconds_now() - start;
    or_die(ht_value_list_take(pages, n, &list, err), err);
    free(pages);
    return list;
}

/* pipeline.map(urls) of the one node `get` */
static ht_value by_pipeline(ht_instance *client, ht_value urls, guide_way *way, ht_error *err)
{
    const ht_input input = {"url", NULL};
    ht_pipeline *one, *all;
    ht_value inputs, out, pages = ht_value_null();
    const ht_rename outputs[] = {{"page", "pages"}}, renames[] = {{"urls", "url"}};
    static const char *const mapped[] = {"urls"};
    const ht_as_node as = {HT_DESC(ht_as_node), .inputs = renames,  .n_inputs = 1,  .outputs = outputs,
                           .n_outputs = 1,      .map_over = mapped, .n_map_over = 1};
    or_die(ht_pipeline_new("fetch", &one, err), err);
    or_die(ht_pipeline_add_method(one, "fetch_data", client, "get", &input, "page", err), err);
    or_die(ht_pipeline_new("fetch_all", &all, err), err);
    or_die(ht_pipeline_add_pipeline(all, one, &as, err), err);
    or_die(ht_value_struct(mapped, &urls, 1, &inputs, err), err);
    const double start = seconds_now();
    or_die(ht_pipeline_run(all, inputs, NULL, &out, err), err);
    way->seconds = seconds_now() - start;
    (void)ht_value_field(out, "pages", &pages);
    pages = ht_value_retain(pages);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_pipeline_release(all);
    ht_pipeline_release(one);
    return pages;
}

/* client.get_batch(urls): all are started, then awaited */
static ht_value by_hand(ht_instance *client, ht_value urls, guide_way *way, ht_error *err)
{
    ht_value pages;
    const double start = seconds_now();
    or_die(ht_instance_call(client, "get_batch", &urls, 1, &pages, err), err);
    way->seconds = seconds_now() - start;
    return pages;
}

typedef ht_value (*fetch_fn)(ht_instance *, ht_value, guide_way *, ht_error *);

/* With a client of its own, whose connections are opened by a first round that is not measured. */
static ht_value measured(fetch_fn fetch, ht_registry *registry, ht_value urls, size_t n, guide_way *way, ht_error *err)
{
    ht_instance *client = new_client(registry, "secret", n > 1000 ? 1000 : (int)n, err);
    guide_way warm = *way;
    ht_value_release(by_hand(client, urls, &warm, err));
    const ht_instance_stats before = ht_instance_get_stats(client);
    const ht_value pages = fetch(client, urls, way, err);
    way->stats = ht_instance_get_stats(client);
    way->stats.starts -= before.starts;
    ht_instance_release(client);
    return pages;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    guide_server server = {0};
    ht_registry *registry;
    const guide_options options = guide_parse(argc, argv, 100);
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    const fetch_fn fetch[3] = {by_rows, by_pipeline, by_hand};
    ht_value pages[3], refused;
    or_die(ht_registry_new(&registry, &err), &err);
    or_die(ht_retrieval_register(registry, &err), &err);
    guide_server_start(&server, 10, "secret");
    const ht_value urls = urls_of(&server, options.n, &err);
    for (int i = 0; i < 3; i++) pages[i] = measured(fetch[i], registry, urls, options.n, &ways[i], &err);
    const bool same = ht_value_equal(pages[0], pages[1]) && ht_value_equal(pages[1], pages[2]);
    guide_digest digest = {0};
    size_t n;
    const ht_value *items = ht_value_items(pages[1], &n);
    for (size_t i = 0; i < n; i++) digest_text(&digest, ht_value_text(items[i]));
    /* The wrong token is an error with the URL, and a mapped one says which item. */
    ht_instance *stranger = new_client(registry, "wrong", 1, &err);
    const bool told = ht_instance_call(stranger, "get", ht_value_items(urls, &n), 1, &refused, &err) != HT_OK;
    if (!options.json) printf("with a wrong token: %s\n", told ? err.message : "NOT REFUSED");
    ht_instance_release(stranger);
    for (int i = 0; i < 3; i++) ht_value_release(pages[i]);
    ht_value_release(urls);
    ht_registry_free(registry);
    return guide_report("03_fetch", options, ways, same && told, digest);
}
