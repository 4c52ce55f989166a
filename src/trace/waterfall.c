/*
 * waterfall.c - a trace as one HTML page: lanes of spans that zoom, and a table of what took how long.
 *
 * The page holds the spans as arrays of numbers and the names once, as JSON in which "<" is escaped, so that no name
 * can end the script. The script draws on a canvas; spans narrower than a pixel share it.
 */
#include "codec/codec.h"
#include "trace_int.h"

#include <houndstooth/trace.h>

#include <string.h>

static const char head[] = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                           "<meta name=\"viewport\" content=\"width=device-width\"><title>";

static const char style[] =
    "</title><style>\n"
    ":root{--bg:#fff;--fg:#1b1f24;--dim:#656d76;--line:#d8dee4;--row:#f6f8fa}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;--line:#30363d;--row:#161b22}}\n"
    "body{margin:0;padding:20px 24px;background:var(--bg);color:var(--fg);font:14px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:20px;margin:0 0 4px}p{margin:0 0 12px;color:var(--dim)}\n"
    "#legend span{display:inline-block;margin-right:14px}#legend i{display:inline-block;width:11px;height:11px;"
    "border-radius:2px;margin-right:5px;vertical-align:-1px}\n"
    "canvas{width:100%;display:block;border:1px solid var(--line);border-radius:6px;cursor:grab;touch-action:none}\n"
    "table{border-collapse:collapse;margin-top:18px;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line)}\n"
    "th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}\n"
    "tbody tr:hover{background:var(--row)}th{color:var(--dim);font-weight:600}\n"
    "#tip{position:fixed;display:none;pointer-events:none;background:var(--fg);color:var(--bg);padding:5px 9px;"
    "border-radius:5px;font-size:13px;white-space:pre;z-index:2}\n"
    "</style></head><body><h1>";

static const char body[] =
    "</h1><p id=\"sum\"></p><p id=\"legend\"></p><canvas id=\"c\"></canvas><div id=\"tip\"></div>"
    "<table><thead><tr><th>name</th><th>kind</th><th>calls</th><th>rows</th><th>rows a call</th><th>total</th>"
    "<th>mean</th><th>share of the run</th></tr></thead><tbody id=\"t\"></tbody></table>\n<script>\nconst D=";

/* In pieces, as C promises no longer literals. */
static const char *const script[] = {
    ";\n"
    "const K=['node','batch','async','map','load','slice','cache','wait'],"
    "C=['#4c8dd6','#e08a2e','#8e6bd1','#9aa4af','#c4504b','#2f9e8f','#5aa845','#c9b23b'];\n"
    "const S=D.spans,N=D.names,$=i=>document.getElementById(i),cv=$('c'),g=cv.getContext('2d');\n"
    "let end=1;for(const s of S)end=Math.max(end,s[3]+s[4]);\n"
    "const us=v=>v>=1e6?(v/1e6).toFixed(2)+' s':v>=1e3?(v/1e3).toFixed(2)+' ms':v.toFixed(1)+' \\u00b5s';\n"
    "// Lanes: spans that occupy a worker share one; the others are laid beside each other.\n"
    "const lanes=[],own=new Map(),apart=new Map();\n"
    "const label=(w,k)=>(w>=1000?'process '+(w-999):w?'thread '+(w+1):'main')+(k?' \\u00b7 '+k:'');\n"
    "for(const s of S){const over=s[0]==2||s[0]==3||s[0]==7||s[0]==5;let l;\n"
    " if(!over){const id=s[1];l=own.get(id);if(l===undefined){own.set(id,l=lanes.length);"
    "lanes.push({w:s[1],t:label(s[1],''),o:0,s:[]})}}\n"
    " else{const id=s[0]+':'+s[1],a=apart.get(id)||[];apart.set(id,a);let x=a.find(x=>x.e<=s[3]);\n"
    "  if(!x&&a.length<12){x={e:0,l:lanes.length};a.push(x);lanes.push({w:s[1],t:label(s[1],K[s[0]]),o:s[0],s:[]})}\n"
    "  if(!x)x=a[a.length-1];x.e=s[3]+s[4];l=x.l}\n"
    " lanes[l].s.push(s)}\n"
    "lanes.sort((a,b)=>a.w-b.w||(a.o==3?-1:a.o)-(b.o==3?-1:b.o));\n"
    "const H=22,LEFT=130,TOP=26;let a=0,b=end*1.01,drag=null;\n"
    "const css=n=>getComputedStyle(document.body).getPropertyValue(n);\n"
    "function draw(){const r=devicePixelRatio||1,w=cv.clientWidth,h=TOP+lanes.length*H+8;cv.style.height=h+'px';\n"
    " cv.width=w*r;cv.height=h*r;g.setTransform(r,0,0,r,0,0);g.fillStyle=css('--bg');g.fillRect(0,0,w,h);\n"
    " const px=(w-LEFT-8)/(b-a),X=t=>LEFT+(t-a)*px;g.font='12px system-ui,sans-serif';g.textBaseline='middle';\n"
    " let step=Math.pow(10,Math.ceil(Math.log10((b-a)/10)));if((b-a)/step<4)step/=2;\n"
    " g.strokeStyle=css('--line');g.fillStyle=css('--dim');g.textAlign='center';\n"
    " for(let t=Math.ceil(a/step)*step;t<=b;t+=step){const x=X(t);g.beginPath();g.moveTo(x,TOP-4);g.lineTo(x,h);"
    "g.stroke();g.fillText(us(t),x,12)}\n"
    " g.textAlign='left';lanes.forEach((l,i)=>{const y=TOP+i*H;g.fillStyle=css('--dim');g.fillText(l.t,8,y+H/2);\n"
    "  g.save();g.beginPath();g.rect(LEFT,y,w-LEFT,H);g.clip();let last=-1;\n"
    "  for(const s of l.s){if(s[3]>b||s[3]+s[4]<a)continue;const x=X(s[3]),e=X(s[3]+s[4]),n=Math.max(e-x,1);\n"
    "   if(n<=1&&Math.floor(x)==last)continue;last=Math.floor(x);g.fillStyle=C[s[0]];g.fillRect(x,y+2,n,H-4);\n"
    "   if(n>46){g.fillStyle='#fff';g.save();g.beginPath();g.rect(x+2,y,n-4,H);g.clip();\n"
    "    g.fillText(N[s[2]]+(s[6]>1?' \\u00d7 '+s[6]:''),Math.max(x,LEFT)+5,y+H/2);g.restore()}}\n",
    "  g.restore()})}\n"
    "function at(ev){const r=cv.getBoundingClientRect(),x=ev.clientX-r.left,y=ev.clientY-r.top;\n"
    " const l=lanes[Math.floor((y-TOP)/H)],px=(cv.clientWidth-LEFT-8)/(b-a),t=a+(x-LEFT)/px,eps=1/px;\n"
    " return{x,t,s:l&&x>LEFT?l.s.filter(s=>s[3]-eps<=t&&t<=s[3]+s[4]+eps).pop():null}}\n"
    "cv.onwheel=ev=>{ev.preventDefault();const t=at(ev).t,f=Math.exp(ev.deltaY*.0015);a=Math.max(0,t-(t-a)*f);"
    "b=Math.min(end*1.01,t+(b-t)*f);if(b-a<1)b=a+1;draw()};\n"
    "cv.onpointerdown=ev=>{drag=[ev.clientX,a,b];cv.setPointerCapture(ev.pointerId)};cv.onpointerup=()=>drag=null;\n"
    "cv.onpointermove=ev=>{if(drag){let d=(drag[0]-ev.clientX)*(drag[2]-drag[1])/(cv.clientWidth-LEFT-8);\n"
    "  d=Math.max(-drag[1],Math.min(d,end*1.01-drag[2]));a=drag[1]+d;b=drag[2]+d;draw();return}\n"
    " const{s}=at(ev),p=$('tip');if(!s){p.style.display='none';return}\n"
    " p.textContent=N[s[2]]+'  ('+K[s[0]]+')\\n'+us(s[4])+' from '+us(s[3])+(s[6]?'\\n'+s[6]+' rows':'')+"
    "'\\nitem '+s[5];p.style.display='block';p.style.left=Math.min(ev.clientX+14,innerWidth-260)+'px';"
    "p.style.top=ev.clientY+14+'px'};\n"
    "cv.onpointerleave=()=>$('tip').style.display='none';cv.ondblclick=()=>{a=0;b=end*1.01;draw()};\n"
    "addEventListener('resize',draw);matchMedia('(prefers-color-scheme:dark)').onchange=draw;\n"
    "const sums=new Map();for(const s of S){const id=s[0]+'|'+s[2],v=sums.get(id)||{s,n:0,r:0,d:0};sums.set(id,v);"
    "v.n++;v.r+=s[6];v.d+=s[4]}\n"
    "for(const v of[...sums.values()].sort((x,y)=>y.d-x.d)){const r=$('t').insertRow();\n"
    " for(const c of[N[v.s[2]],K[v.s[0]],v.n,v.r,(v.r/v.n).toFix"
    "ed(1),us(v.d),us(v.d/v.n),(100*v.d/end).toFixed(1)+' %'])"
    "r.insertCell().textContent=c}\n"
    "$('sum').textContent=us(end)+', '+S.length+' spans'+(D.lost?', '+D.lost+' older ones lost':'')+"
    "'. Wheel: zoom, drag: move, double click: all of it.';\n"
    "const used=new Set(S.map(s=>s[0]));K.forEach((k,i)=>{if(!us"
    "ed.has(i))return;const e=document.createElement('span'),"
    "d=document.createElement('i');d.style.background=C[i];e.append(d,k);$('legend').append(e)});\n"
    "draw();\n</script></body></html>\n",
};

/* Text between tags. */
static void put_escaped(hti_buffer *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&\"", *text))
            hti_buffer_printf(out, "&#%d;", *text);
        else
            hti_buffer_append(out, text, 1);
    }
}

/* A JSON string in which no "<" stands. */
static void put_name(hti_buffer *out, const char *name)
{
    hti_buffer quoted;
    hti_buffer_init(&quoted);
    hti_json_quote(&quoted, (ht_text){name, strlen(name)});
    const ht_text view = hti_buffer_view(&quoted);
    for (size_t i = 0; i < view.len; i++) {
        if (view.data[i] == '<')
            hti_buffer_text(out, "\\u003c");
        else
            hti_buffer_append(out, view.data + i, 1);
    }
    hti_buffer_deinit(&quoted);
}

/* Microseconds with three digits. */
static void put_time(hti_buffer *out, uint64_t ns)
{
    hti_buffer_printf(out, "%llu.%03u", (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

static ht_status put_data(hti_buffer *out, const ht_span *spans, size_t n, uint64_t lost, ht_error *err)
{
    hti_map names;
    ht_status status = HT_OK;
    hti_map_init(&names);
    const uint64_t start = n ? spans[0].start_ns : 0;
    hti_buffer_printf(out, "{\"lost\":%llu,\"spans\":[", (unsigned long long)lost);
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        const ht_span *s = &spans[i];
        uint32_t name;
        bool inserted;
        status = hti_map_put(&names, (ht_text){s->name, strlen(s->name)}, 0, &name, &inserted, err);
        if (status != HT_OK) break;
        hti_buffer_printf(out, "%s[%d,%u,%u,", i ? "," : "", (int)s->kind, s->worker, name);
        put_time(out, s->start_ns - start);
        hti_buffer_text(out, ",");
        put_time(out, s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0);
        hti_buffer_printf(out, ",%llu,%llu]", (unsigned long long)s->item, (unsigned long long)s->n);
    }
    hti_buffer_text(out, "],\"names\":[");
    for (size_t i = 0; i < names.n; i++) {
        if (i) hti_buffer_text(out, ",");
        put_name(out, names.entries[i].key);
    }
    hti_buffer_text(out, "]}");
    hti_map_deinit(&names);
    return status;
}

ht_status ht_trace_write_html(ht_trace *trace, const char *title, ht_writer *writer, ht_error *err)
{
    const ht_span *spans;
    size_t n;
    uint64_t lost;
    hti_buffer page;
    HT_TRY(ht_trace_spans(trace, &spans, &n, &lost, err));
    hti_buffer_init(&page);
    hti_buffer_text(&page, head);
    put_escaped(&page, title);
    hti_buffer_text(&page, style);
    put_escaped(&page, title);
    hti_buffer_text(&page, body);
    ht_status status = put_data(&page, spans, n, lost, err);
    for (size_t i = 0; i < HTI_LEN(script); i++) hti_buffer_text(&page, script[i]);
    if (status == HT_OK) status = hti_buffer_status(&page, err);
    if (status == HT_OK) status = ht_writer_add(writer, page.data, page.len, err);
    hti_buffer_deinit(&page);
    return status;
}
