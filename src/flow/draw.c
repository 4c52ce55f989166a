/*
 * draw.c - a plan as a picture: model, ranks, places, text.
 */
#include "draw_int.h"

static ht_status draw(hti_drawing *d, const ht_plan *plan, hti_buffer *out, ht_error *err)
{
    const char *title = d->options.title ? d->options.title : plan->pipeline;
    d->main = d->options.orient == HT_DRAW_TOP_DOWN;
    d->title = hti_draw_fit(&d->arena, title, 18, 800);
    if (!d->title) return HTI_NO_MEMORY(err);
    HT_TRY(hti_draw_sum_times(d, err));
    HT_TRY(hti_draw_model(d, plan, err));
    HT_TRY(hti_draw_rank(d, d->root, err));
    hti_draw_measure(d->root);
    if (d->options.format == HT_DRAW_SVG) {
        d->root->header = 52;
        d->root->least_width = hti_draw_width(d->title, 18, true) + 2 * HTI_DRAW_MARGIN;
    }
    HT_TRY(hti_draw_place(d, d->root, err));
    if (d->options.format == HT_DRAW_HTML)
        HT_TRY(hti_draw_html(d, out, err));
    else
        hti_draw_svg(d, out);
    return hti_buffer_status(out, err);
}

static ht_status check_options(const ht_draw_options *options, ht_error *err)
{
    if ((unsigned)options->format > HT_DRAW_HTML)
        return HT_FAIL(err, INVALID, "no drawing format %d", (int)options->format);
    if ((unsigned)options->orient > HT_DRAW_TOP_DOWN)
        return HT_FAIL(err, INVALID, "no drawing orientation %d", (int)options->orient);
    if ((unsigned)options->style > HT_DRAW_AUTO)
        return HT_FAIL(err, INVALID, "no drawing style %d", (int)options->style);
    return HT_OK;
}

ht_status ht_plan_draw(const ht_plan *plan, const ht_draw_options *options, ht_writer *writer, ht_error *err)
{
    hti_drawing drawing = {.options = {HT_DESC(ht_draw_options)}};
    hti_buffer out;
    if (options && options->size < offsetof(ht_draw_options, style))
        return HT_FAIL(err, INVALID, "ht_draw_options without its size; begin it with HT_DESC(ht_draw_options)");
    if (options) memcpy(&drawing.options, options, HTI_MIN(options->size, sizeof *options));
    HT_TRY(check_options(&drawing.options, err));
    hti_arena_init(&drawing.arena);
    hti_map_init(&drawing.names);
    hti_buffer_init(&out);
    ht_status status = draw(&drawing, plan, &out, err);
    if (status == HT_OK) status = ht_writer_add(writer, out.data, out.len, err);
    hti_buffer_deinit(&out);
    hti_map_deinit(&drawing.names);
    hti_free(drawing.times);
    hti_arena_deinit(&drawing.arena);
    return status;
}
