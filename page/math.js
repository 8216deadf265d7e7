// @ts-check
// TeX in Markdown: $...$, \(...\), $$...$$ and \[...\], drawn as MathML, which needs no fonts of ours.
import {element} from './dom.js';

const mathSpace = 'http://www.w3.org/1998/Math/MathML';
const longest = 5000; // characters of a formula; longer ones are shown as text

/** @param {string} text @returns {string} */
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** @param {string} name @param {'block' | 'inline'} level @param {RegExp} start @param {RegExp} rule whose first group is the TeX */
function extension(name, level, start, rule, kind = level) {
  return {
    name, level,
    start: (/** @type {string} */ source) => { const at = source.search(start); return at < 0 ? undefined : at; },
    tokenizer(/** @type {string} */ source) {
      const found = rule.exec(source);
      return found ? {type: name, raw: found[0], tex: found[1].trim()} : undefined;
    },
    renderer: (/** @type {any} */ token) => {
      const math = `<code data-math="${kind}">${escape(token.tex)}</code>`;
      return level === 'block' ? `<p>${math}</p>` : math;
    },
  };
}

export const mathExtensions = [
  extension('mathBlock', 'block', /\$\$/, /^\$\$([\s\S]+?)\$\$(?:\n|$)/),
  extension('mathBracketBlock', 'block', /\\\[/, /^\\\[([\s\S]+?)\\\](?:\n|$)/),
  extension('mathDisplay', 'inline', /\$\$/, /^\$\$([^$]+?)\$\$/, 'block'),
  extension('mathBracket', 'inline', /\\\[/, /^\\\[([\s\S]+?)\\\]/, 'block'),
  extension('mathParenthesis', 'inline', /\\\(/, /^\\\(([\s\S]+?)\\\)/),
  // As pandoc has it, so that "$5 and $10" stays as it is: no space inside the dollars, no digit behind them.
  extension('mathDollar', 'inline', /\$(?=\S)/, /^\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/),
];

/** Takes out what is not MathML, and what could load or run. @param {Element} box */
function clean(box) {
  for (const node of [...box.querySelectorAll('*')]) {
    if (node.namespaceURI !== mathSpace && node.localName !== 'span') node.remove();
    for (const {name} of [...node.attributes]) if (/^on|href|src|action/i.test(name)) node.removeAttribute(name);
  }
}

/** @param {string} tex @param {boolean} block @returns {HTMLElement} */
export function renderMath(tex, block) {
  const box = element('span', {class: block ? 'math block' : 'math', ...(block && {tabindex: 0, role: 'group', 'aria-label': 'Formula'})});
  try {
    if (tex.length > longest) throw new Error('too long');
    globalThis.temml.render(tex, box, {displayMode: block, throwOnError: true, trust: false, maxSize: [20, 20], maxExpand: 200});
    clean(box);
  } catch {
    box.replaceChildren(element('code', {}, tex));
  }
  return box;
}
