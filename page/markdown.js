// @ts-check
// Markdown as elements, safe whatever a model wrote. Three walls, each of which holds alone: raw HTML is shown as text; DOMPurify lets
// through the tags and attributes listed here only; the page's Content-Security-Policy runs no script and loads nothing from elsewhere.
import {Marked} from './vendor/marked.esm.js';
import {decorateCode} from './code.js';
import {element} from './dom.js';
import {mathExtensions, renderMath} from './math.js';

const tags = ['p', 'br', 'hr', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 'del', 'a', 'span',
              'table', 'thead', 'tbody', 'tr', 'th', 'td'];
const plainAttributes = ['start', 'align', 'data-language', 'data-math']; // hold no address
const schemes = /^(https?:\/\/|mailto:)/i;

/** @param {string} text @returns {string} */
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  extensions: mathExtensions,
  renderer: {
    html: ({text, block}) => /^<br\s*\/?>$/i.test(text.trim()) ? '<br>' : block ? `<p>${escape(text)}</p>` : escape(text),
    // A picture that a model names is not loaded: its address could carry the conversation to another machine.
    image: ({href, text}) => link(href, escape(text || href)),
    link({href, tokens}) { return link(href, this.parser.parseInline(tokens)); },
    heading({tokens, depth}) { return `<h${depth}>${this.parser.parseInline(tokens)}</h${depth}>`; },
    checkbox: ({checked}) => checked ? '☑ ' : '☐ ',
    code: ({text, lang}) => `<pre><code data-language="${escape((lang ?? '').split(/\s/)[0])}">${escape(text)}</code></pre>`,
  },
});

/** @param {string} href @param {string} inner HTML */
function link(href, inner) {
  return schemes.test(href) ? `<a href="${escape(href)}">${inner}</a>` : inner;
}

/** @param {string} html @returns {DocumentFragment} what is allowed of it */
export function purify(html) {
  return globalThis.DOMPurify.sanitize(html, {
    ALLOWED_TAGS: tags, ALLOWED_ATTR: ['href', ...plainAttributes], ADD_URI_SAFE_ATTR: plainAttributes, ALLOWED_URI_REGEXP: schemes,
    ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true,
  });
}

/** @param {DocumentFragment} fragment */
function decorate(fragment) {
  for (const anchor of fragment.querySelectorAll('a')) {
    anchor.target = '_blank';
    anchor.rel = 'noopener noreferrer nofollow';
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = element('div', {class: 'table', tabindex: 0, role: 'region', 'aria-label': 'Table'});
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const math of fragment.querySelectorAll('[data-math]'))
    math.replaceWith(renderMath(math.textContent ?? '', math.getAttribute('data-math') === 'block'));
  for (const pre of fragment.querySelectorAll('pre')) decorateCode(pre);
}

/** Levels without gaps below the page's own h1 and h2, as screen readers want them. @param {any[]} tokens */
function levelHeadings(tokens) {
  let last = 2;
  marked.walkTokens(tokens, (token) => {
    if (token.type === 'heading') last = token.depth = Math.min(token.depth + 2, last + 1, 6);
  });
}

/** Markdown that grows: of a longer text only the blocks that changed are made anew. */
export class MarkdownView {
  /** @param {HTMLElement} container */
  constructor(container) {
    this.container = container;
    /** @type {{raw: string, nodes: ChildNode[]}[]} */
    this.blocks = [];
  }

  /** @param {string} text */
  show(text) {
    const tokens = marked.lexer(text);
    levelHeadings(tokens);
    let same = 0;
    while (same < tokens.length && this.blocks[same]?.raw === tokens[same].raw) ++same;
    for (const block of this.blocks.splice(same)) block.nodes.forEach((node) => node.remove());
    for (const token of tokens.slice(same)) {
      const fragment = purify(marked.parser([token]));
      decorate(fragment);
      this.blocks.push({raw: token.raw, nodes: [...fragment.childNodes]});
      this.container.append(fragment);
    }
  }
}
